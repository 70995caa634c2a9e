//! Tiles beside the sums that define a convolution.

use proptest::prelude::*;

use super::*;
use crate::plan::convolution::Shape;
use crate::plan::direct::Direct;
use crate::plan::pool::Pool;

/// Between -1 and 1.
fn random(seed: u64, count: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

#[derive(Clone, Debug)]
struct Case {
    channels: [usize; 2],
    size: [usize; 2],
    padding: [(usize, usize); 2],
    /// Margins beyond the padding, and those of the output.
    beyond: usize,
    relu: bool,
    pool: Option<Kind>,
    seed: u64,
}

fn cases() -> impl Strategy<Value = Case> {
    let padding = || (0..3_usize, 0..3_usize);
    let kinds = prop_oneof![Just(None), Just(Some(Kind::Max)), Just(Some(Kind::MaxRelu)), Just(Some(Kind::Mean))];
    let padding = [padding(), padding()];
    ([1..70_usize, 1..70_usize], [2..24_usize, 2..24_usize], padding, 0..2_usize, any::<bool>(), kinds, any::<u64>())
        .prop_map(|(channels, size, padding, beyond, relu, pool, seed)| Case {
            channels,
            size,
            padding,
            beyond,
            relu,
            pool,
            seed,
        })
        .prop_filter("a window fits", |case| case.maps().is_some())
}

impl Case {
    fn shape(&self) -> Shape {
        let Self { channels: [_, outputs], padding, .. } = *self;
        Shape { outputs, size: [3, 3], stride: [1, 1], padding, groups: 1 }
    }

    fn definition(&self, weight: &[f32], bias: &[f32]) -> Definition {
        let (weight, bias) = (weight.to_vec(), Some(bias.to_vec()));
        Definition { shape: self.shape(), weight, bias, relu: self.relu, pool: self.pool() }
    }

    fn pool(&self) -> Option<Pool> {
        let windows = Window { size: 2, stride: 2, padding: 0 };
        self.pool.map(|kind| Pool { kind, windows })
    }

    fn maps(&self) -> Option<[Map; 2]> {
        let [inputs, outputs] = self.channels;
        let wide = |(before, after)| (before + self.beyond, after + self.beyond);
        let from = Map { channels: inputs, size: self.size, margins: self.padding.map(wide) };
        let mut size = self.shape().output(inputs, self.size)?;
        if let Some(pool) = self.pool() {
            size = pool.output(size)?;
        }
        let to = Map { channels: outputs, size, margins: [(self.beyond, self.beyond); 2] };
        Some([from, to])
    }

    /// Random pixels, zeros as wide as the padding around them, and beyond these what nobody may read.
    fn input(&self, from: Map) -> Vec<f32> {
        let mut values = vec![f32::NAN; from.len()];
        let padded = [0, 1].map(|axis| self.size[axis] + self.padding[axis].0 + self.padding[axis].1);
        for row in values.chunks_exact_mut(from.pitch()).skip(self.beyond).take(padded[0]) {
            row[self.beyond * from.channels..][..padded[1] * from.channels].fill(0.0);
        }
        let pixels = random(self.seed, from.values());
        from.lines_mut(&mut values).zip(pixels.chunks(from.line())).for_each(|(to, line)| to.copy_from_slice(line));
        values
    }

    fn weights(&self) -> [Vec<f32>; 2] {
        let [inputs, outputs] = self.channels;
        [random(self.seed ^ 1, 9 * inputs * outputs), random(self.seed ^ 2, outputs)]
    }

    fn winograd(&self) -> Winograd {
        let ([from, to], [weight, bias]) = (self.maps().unwrap(), self.weights());
        Winograd::new(&self.definition(&weight, &bias), from, to).unwrap()
    }

    /// The output in its margins, which nobody may write.
    fn run(&self, winograd: &Winograd, input: &[f32]) -> Vec<f32> {
        let mut values = vec![7.0; winograd.to.len()];
        winograd.run(0..winograd.to.size[0], input, &mut values[winograd.to.row(0)..]);
        values
    }

    /// The same by definition, for the input, the weights and the bias given.
    fn direct(&self, input: &[f32], weight: &[f32], bias: &[f32]) -> Vec<f32> {
        let [from, to] = self.maps().unwrap();
        let direct = Direct::new(&self.definition(weight, bias), from, to).unwrap();
        let mut values = vec![7.0; to.len()];
        direct.run(0..to.size[0], input, &mut values[to.row(0)..]);
        values
    }
}

fn greatest(values: &[f32]) -> f32 {
    values.iter().fold(0.0, |most, value| most.max(value.abs()))
}

proptest! {
    #[test]
    fn outputs_are_those_of_the_definition(case in cases()) {
        let ([from, _], [weight, bias]) = (case.maps().unwrap(), case.weights());
        let input = case.input(from);
        let (found, expected) = (case.run(&case.winograd(), &input), case.direct(&input, &weight, &bias));
        // Rounding is in proportion to the products, which may cancel out.
        let size = |values: &[f32]| values.iter().map(|value| value.abs()).collect::<Vec<_>>();
        let scale = greatest(&case.direct(&size(&input), &size(&weight), &size(&bias))[..]);
        for (at, (found, expected)) in found.iter().zip(&expected).enumerate() {
            prop_assert!((found - expected).abs() <= 2e-6 * scale, "{at}: {found} for {expected} of {scale}");
        }
    }

    #[test]
    fn parts_of_the_rows_give_the_same_bits(case in cases()) {
        let (input, winograd) = (case.input(case.maps().unwrap()[0]), case.winograd());
        let whole = case.run(&winograd, &input);
        let (to, mut parts) = (winograd.to, vec![7.0; whole.len()]);
        for first in (0..to.size[0]).step_by(winograd.side()) {
            let last = (first + winograd.side()).min(to.size[0]);
            winograd.run(first..last, &input, &mut parts[to.row(first)..to.row(last - 1) + to.line()]);
        }
        prop_assert_eq!(whole, parts);
    }

    #[test]
    fn what_is_not_a_number_stays_so(case in cases(), at in any::<prop::sample::Index>()) {
        let ([from, _], [weight, bias]) = (case.maps().unwrap(), case.weights());
        let mut input = case.input(from);
        let pixel = at.index(from.values());
        input[from.row(pixel / from.line()) + pixel % from.line()] = f32::NAN;
        let (found, expected) = (case.run(&case.winograd(), &input), case.direct(&input, &weight, &bias));
        prop_assert!(found.iter().zip(&expected).all(|(found, expected)| found.is_nan() || !expected.is_nan()));
    }
}

#[test]
fn rounding_is_a_few_times_that_of_the_definition() {
    let case =
        Case { channels: [64, 64], size: [28, 28], padding: [(1, 1); 2], beyond: 0, relu: false, pool: None, seed: 3 };
    let ([from, to], [weight, bias]) = (case.maps().unwrap(), case.weights());
    let input = case.input(from);
    let found = case.run(&case.winograd(), &input);
    assert_eq!(found.len(), to.values());
    let (mut off, mut scale) = (0.0_f64, 0.0_f64);
    for (at, found) in found.iter().enumerate() {
        let (row, column, j) = (at / to.line(), at / 64 % 28, at % 64);
        let taps = (0..9 * 64).map(|k| {
            let (i, tap) = (k % 64, k / 64);
            let from = input[(row + tap / 3) * from.pitch() + (column + tap % 3) * 64 + i];
            f64::from(from) * f64::from(weight[(j * 64 + i) * 9 + tap])
        });
        let exact = f64::from(bias[j]) + taps.sum::<f64>();
        off = off.max((f64::from(*found) - exact).abs());
        scale = scale.max(exact.abs());
    }
    assert!(off < 2e-6 * scale, "{off} of {scale}");
}
