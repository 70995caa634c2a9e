//! The one source of randomness: Philox 4x32-10, a counter-based generator (Salmon et al., "Parallel random numbers: as easy as
//! 1, 2, 3", SC 2011). A draw is a pure function of (seed, purpose, two coordinates), never of what was drawn before; so a
//! checkpoint stores positions, not generator states, and any number of threads draws the same numbers.

/// What a stream of numbers is for. Streams of different purposes never overlap. The numbers are part of the format: never reuse one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Purpose {
    /// Which sample goes to which split: coordinates (class, 0).
    Split = 1,
    /// The order of an epoch: coordinates (epoch, 0).
    Shuffle = 2,
    /// The augmentation of one sample: coordinates (epoch, sample index).
    Augment = 3,
    /// Mixing of the samples of one batch: coordinates (epoch, batch).
    Mix = 4,
    /// Dropout masks: coordinates (step, layer).
    Dropout = 5,
    /// Initial weights: coordinates (parameter, 0).
    Init = 6,
    /// Which samples `--limit` keeps: coordinates (class, 0).
    Limit = 7,
    /// Samples shown to people: coordinates chosen by the caller.
    Show = 8,
    /// Inputs of tests and benchmarks.
    Bench = 9,
    /// Samples drawn again to learn how sure a number is: coordinates (drawing, 0).
    Resample = 10,
    /// Made-up inputs of a model file.
    Example = 11,
    /// Rows that a column is judged by: coordinates (0, 0).
    Halves = 13,
    /// What a search tries: coordinates (trial, range).
    Tune = 12,
}

/// A stream of random numbers for one (seed, purpose, a, b).
#[derive(Clone, Debug)]
pub struct Random {
    key: [u32; 2],
    counter: [u32; 4],
    block: [u32; 4],
    used: usize,
}

impl Random {
    /// The stream of `seed` and `purpose` at the coordinates `a` and `b`, whose meaning [`Purpose`] states.
    pub fn new(seed: u64, purpose: Purpose, a: u32, b: u32) -> Self {
        // The purpose shares a counter word with the high half of the block number: 2^24 blocks of four numbers for each stream
        // would wrap, so it takes the top byte only.
        let key = [seed as u32, (seed >> 32) as u32];
        Self { key, counter: [0, (purpose as u32) << 24, a, b], block: [0; 4], used: 4 }
    }

    /// The stream without its next `n` draws of [`Random::bits`], which are not made: where nothing was drawn yet.
    pub fn skip(mut self, n: u64) -> Self {
        // A block is four draws, numbered by the low word and what the purpose leaves of the second.
        let block = n / 4;
        self.counter[0] = block as u32;
        self.counter[1] += (block >> 32) as u32;
        for _ in 0..n % 4 {
            self.bits();
        }
        self
    }

    /// 32 uniform bits.
    pub fn bits(&mut self) -> u32 {
        if self.used == 4 {
            self.block = philox(self.counter, self.key);
            self.counter[0] = self.counter[0].wrapping_add(1);
            if self.counter[0] == 0 {
                self.counter[1] += 1;
            }
            self.used = 0;
        }
        self.used += 1;
        self.block[self.used - 1]
    }

    /// Uniform in `[0, 1)`, in steps of 2^-24: every value is exact in f32.
    pub fn uniform(&mut self) -> f32 {
        (self.bits() >> 8) as f32 * (1.0 / 16_777_216.0)
    }

    /// Uniform in `[low, high)`.
    pub fn range(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.uniform()
    }

    /// True with probability `p`.
    pub fn chance(&mut self, p: f32) -> bool {
        self.uniform() < p
    }

    /// Uniform in `0..n`, without bias (Lemire, "Fast random integer generation in an interval", 2019). Zero for `n` of zero.
    pub fn below(&mut self, n: u32) -> u32 {
        if n == 0 {
            return 0;
        }
        let threshold = n.wrapping_neg() % n;
        loop {
            let wide = u64::from(self.bits()) * u64::from(n);
            if wide as u32 >= threshold {
                return (wide >> 32) as u32;
            }
        }
    }

    /// Standard normal, by Box and Muller's transform, computed in f64 so that every platform rounds to the same f32.
    pub fn normal(&mut self) -> f32 {
        let radius = (1.0 - f64::from(self.uniform())).ln() * -2.0;
        let angle = f64::from(self.uniform()) * std::f64::consts::TAU;
        (radius.sqrt() * angle.cos()) as f32
    }

    /// A Gamma(shape, 1) variate for `shape` above zero (Marsaglia and Tsang, 2000).
    pub fn gamma(&mut self, shape: f32) -> f32 {
        if shape < 1.0 {
            let boost = (1.0 - self.uniform()).powf(1.0 / shape);
            return self.gamma(shape + 1.0) * boost;
        }
        let d = shape - 1.0 / 3.0;
        let c = 1.0 / (9.0 * d).sqrt();
        loop {
            let x = self.normal();
            let v = (1.0 + c * x).powi(3);
            if v > 0.0 && (1.0 - self.uniform()).ln() < 0.5 * x * x + d - d * v + d * v.ln() {
                return d * v;
            }
        }
    }

    /// A Beta(alpha, alpha) variate, the mixing weight of mixup and cutmix.
    pub fn beta(&mut self, alpha: f32) -> f32 {
        let (x, y) = (self.gamma(alpha), self.gamma(alpha));
        if x + y > 0.0 { x / (x + y) } else { 0.5 }
    }

    /// Permutes `items` uniformly (Fisher and Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let other = self.below(last as u32 + 1) as usize;
            items.swap(last, other);
        }
    }
}

/// One block of Philox 4x32 with ten rounds.
fn philox(mut counter: [u32; 4], mut key: [u32; 2]) -> [u32; 4] {
    for _ in 0..10 {
        let left = u64::from(counter[0]) * 0xD251_1F53;
        let right = u64::from(counter[2]) * 0xCD9E_8D57;
        counter = [
            (right >> 32) as u32 ^ counter[1] ^ key[0],
            right as u32,
            (left >> 32) as u32 ^ counter[3] ^ key[1],
            left as u32,
        ];
        key = [key[0].wrapping_add(0x9E37_79B9), key[1].wrapping_add(0xBB67_AE85)];
    }
    counter
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The known answers that Random123 publishes for philox4x32-10 (kat_vectors).
    #[test]
    fn philox_gives_the_published_answers() {
        assert_eq!(philox([0; 4], [0; 2]), [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
        assert_eq!(philox([u32::MAX; 4], [u32::MAX; 2]), [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]);
        assert_eq!(
            philox([0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344], [0xa409_3822, 0x299f_31d0]),
            [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]
        );
    }

    #[test]
    fn a_skipped_draw_is_one_that_was_made() {
        let stream = || Random::new(7, Purpose::Dropout, 3, 1);
        for n in [0, 1, 3, 4, 5, 8, 1001] {
            let (mut drawn, mut skipped) = (stream(), stream().skip(n));
            (0..n).for_each(|_| _ = drawn.bits());
            assert!((0..9).all(|_| drawn.bits() == skipped.bits()), "{n}");
        }
        // Beyond what the low word counts.
        let (mut before, mut after) = (stream().skip((1 << 34) - 1), stream().skip(1 << 34));
        before.bits();
        assert!((0..9).all(|_| before.bits() == after.bits()));
        assert_ne!(stream().skip(1 << 34).bits(), stream().bits());
    }

    #[test]
    fn a_shuffle_is_a_permutation_and_depends_on_the_coordinates() {
        let order = |epoch| {
            let mut items: Vec<u32> = (0..100).collect();
            Random::new(7, Purpose::Shuffle, epoch, 0).shuffle(&mut items);
            items
        };
        let mut sorted = order(0);
        sorted.sort_unstable();
        assert_eq!(sorted, (0..100).collect::<Vec<_>>());
        assert_eq!(order(3), order(3));
        assert_ne!(order(0), order(1));
    }

    #[test]
    fn moments_are_those_of_the_distribution() {
        let mut random = Random::new(1, Purpose::Bench, 0, 0);
        let n = 200_000;
        let draw = |f: &mut dyn FnMut() -> f32| {
            let values: Vec<f64> = (0..n).map(|_| f64::from(f())).collect();
            let mean = values.iter().sum::<f64>() / n as f64;
            (mean, values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n as f64)
        };
        let (mean, variance) = draw(&mut || random.uniform());
        assert!((mean - 0.5).abs() < 0.005 && (variance - 1.0 / 12.0).abs() < 0.002, "uniform {mean} {variance}");
        let (mean, variance) = draw(&mut || random.normal());
        assert!(mean.abs() < 0.01 && (variance - 1.0).abs() < 0.02, "normal {mean} {variance}");
        let (mean, variance) = draw(&mut || random.beta(0.4));
        assert!((mean - 0.5).abs() < 0.01 && (variance - 0.25 / 1.8).abs() < 0.005, "beta {mean} {variance}");
    }

    #[test]
    fn below_reaches_every_value_and_no_other() {
        let mut random = Random::new(2, Purpose::Bench, 0, 0);
        let mut seen = [0; 7];
        (0..7000).for_each(|_| seen[random.below(7) as usize] += 1);
        assert!(seen.iter().all(|&count| count > 850), "{seen:?}");
    }
}
