//! Initial weights by name: numbers on the host, a pure function of (seed, number of the parameter), the same for every device.

use data::random::{Purpose, Random};

use crate::named::named;

named! {
    /// How weights begin. Biases begin at zero, except under `torch`; norms begin as the identity.
    pub enum Init("initialiser") {
        /// PyTorch's default for Linear and Conv2d: weights and biases uniform within 1 / sqrt(fan in).
        #[default]
        Torch = "torch",
        /// Uniform within sqrt(6 / fan in) (He 2015).
        KaimingUniform = "kaiming_uniform",
        /// Normal with variance 2 / fan in (He 2015).
        KaimingNormal = "kaiming_normal",
        /// Uniform within sqrt(6 / (fan in + fan out)) (Glorot 2010).
        XavierUniform = "xavier_uniform",
        /// Normal with variance 2 / (fan in + fan out) (Glorot 2010).
        XavierNormal = "xavier_normal",
        /// Normal with variance 1 / fan in (LeCun 1998), what `selu` asks for.
        LecunNormal = "lecun_normal",
        /// Orthonormal rows or, where there are fewer of them, columns (Saxe 2014).
        Orthogonal = "orthogonal",
        /// Normal with standard deviation 0.02, drawn again beyond two of them.
        TruncatedNormal = "truncated_normal",
        /// Normal with standard deviation 0.02.
        Normal = "normal",
        /// Uniform within 0.05.
        Uniform = "uniform",
        /// All zero: for tests; a network of zeros doesn't learn.
        Zeros = "zeros",
    }
}

/// The matrix that a weight is to its initialiser: one row for each output.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fan {
    /// Rows, the outputs.
    pub(crate) rows: usize,
    /// Inputs that one output sums over.
    pub(crate) inputs: usize,
    /// Outputs that one input reaches.
    pub(crate) outputs: usize,
}

impl Init {
    /// The numbers of a weight of `fan.rows` x `fan.inputs`, row by row.
    pub(crate) fn weight(self, fan: Fan, seed: u64, parameter: u32) -> Vec<f32> {
        let mut random = Random::new(seed, Purpose::Init, parameter, 0);
        let count = fan.rows * fan.inputs;
        let (inputs, outputs) = (fan.inputs as f32, fan.outputs as f32);
        let mut uniform = |bound: f32| (0..count).map(|_| random.range(-bound, bound)).collect();
        let mut random = Random::new(seed, Purpose::Init, parameter, 0);
        let mut normal = |std: f32| (0..count).map(|_| std * random.normal()).collect();
        match self {
            Self::Torch => uniform(1.0 / inputs.sqrt()),
            Self::KaimingUniform => uniform((6.0 / inputs).sqrt()),
            Self::KaimingNormal => normal((2.0 / inputs).sqrt()),
            Self::XavierUniform => uniform((6.0 / (inputs + outputs)).sqrt()),
            Self::XavierNormal => normal((2.0 / (inputs + outputs)).sqrt()),
            Self::LecunNormal => normal((1.0 / inputs).sqrt()),
            Self::Orthogonal => orthogonal(fan.rows, fan.inputs, &mut random),
            Self::TruncatedNormal => truncated(count, 0.02, &mut random),
            Self::Normal => normal(0.02),
            Self::Uniform => uniform(0.05),
            Self::Zeros => vec![0.0; count],
        }
    }

    /// The numbers of the bias beside such a weight.
    pub(crate) fn bias(self, fan: Fan, seed: u64, parameter: u32) -> Vec<f32> {
        let mut random = Random::new(seed, Purpose::Init, parameter, 0);
        let bound = 1.0 / (fan.inputs as f32).sqrt();
        match self {
            Self::Torch => (0..fan.rows).map(|_| random.range(-bound, bound)).collect(),
            _ => vec![0.0; fan.rows],
        }
    }
}

fn truncated(count: usize, std: f32, random: &mut Random) -> Vec<f32> {
    let mut draw = || {
        loop {
            let value = random.normal();
            if value.abs() <= 2.0 {
                return std * value;
            }
        }
    };
    (0..count).map(|_| draw()).collect()
}

/// Gram and Schmidt on a normal matrix, in f64, each vector projected twice: once loses orthogonality on square matrices (Giraud 2005).
fn orthogonal(rows: usize, columns: usize, random: &mut Random) -> Vec<f32> {
    let (vectors, length) = (rows.min(columns), rows.max(columns));
    let mut basis: Vec<Vec<f64>> = Vec::with_capacity(vectors);
    while basis.len() < vectors {
        let mut vector: Vec<f64> = (0..length).map(|_| f64::from(random.normal())).collect();
        for other in basis.iter().chain(&basis) {
            let along: f64 = vector.iter().zip(other).map(|(x, y)| x * y).sum();
            vector.iter_mut().zip(other).for_each(|(x, y)| *x -= along * y);
        }
        let norm = vector.iter().map(|x| x * x).sum::<f64>().sqrt();
        // A vector that lay within the others' span (all but impossible) is drawn again.
        if norm > 1e-6 {
            vector.iter_mut().for_each(|x| *x /= norm);
            basis.push(vector);
        }
    }
    let at = |row: usize, column: usize| if rows <= columns { basis[row][column] } else { basis[column][row] };
    (0..rows * columns).map(|i| at(i / columns, i % columns) as f32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAN: Fan = Fan { rows: 200, inputs: 300, outputs: 100 };

    fn moments(init: Init) -> (f64, f64, f64) {
        let values: Vec<f64> = init.weight(FAN, 3, 0).into_iter().map(f64::from).collect();
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let variance = values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / values.len() as f64;
        (mean, variance, values.iter().fold(0.0, |most, x| most.max(x.abs())))
    }

    #[test]
    fn moments_and_bounds_are_those_of_the_papers() {
        let cases: [(Init, f64, f64); 10] = [
            (Init::Torch, 1.0 / 900.0, 300f64.powf(-0.5)),
            (Init::KaimingUniform, 2.0 / 300.0, (6.0 / 300f64).sqrt()),
            (Init::KaimingNormal, 2.0 / 300.0, f64::INFINITY),
            (Init::XavierUniform, 2.0 / 400.0, (6.0 / 400f64).sqrt()),
            (Init::XavierNormal, 2.0 / 400.0, f64::INFINITY),
            (Init::LecunNormal, 1.0 / 300.0, f64::INFINITY),
            (Init::Orthogonal, 1.0 / 300.0, 1.0),
            // A normal cut at two standard deviations keeps 0.7737 of its variance.
            (Init::TruncatedNormal, 0.000_4 * 0.773_7, 0.04),
            (Init::Normal, 0.000_4, f64::INFINITY),
            (Init::Uniform, 0.05 * 0.05 / 3.0, 0.05),
        ];
        for (init, expected, bound) in cases {
            let (mean, variance, most) = moments(init);
            // 60,000 draws: five standard errors.
            assert!(mean.abs() < 5.0 * (expected / 60_000.0).sqrt(), "{init}: mean {mean}");
            assert!((variance / expected - 1.0).abs() < 0.03, "{init}: variance {variance}, not {expected}");
            assert!(most <= bound * (1.0 + 1e-6), "{init}: {most} is beyond {bound}");
        }
        assert!(Init::Zeros.weight(FAN, 3, 0).iter().all(|x| *x == 0.0));
    }

    #[test]
    fn orthogonal_rows_or_columns_are_orthonormal() {
        for (rows, inputs) in [(20, 50), (50, 20), (40, 40)] {
            let values = Init::Orthogonal.weight(Fan { rows, inputs, outputs: rows }, 1, 0);
            let at = |i: usize, k: usize| {
                f64::from(if rows <= inputs { values[i * inputs + k] } else { values[k * inputs + i] })
            };
            for i in 0..rows.min(inputs) {
                for j in 0..rows.min(inputs) {
                    let dot: f64 = (0..rows.max(inputs)).map(|k| at(i, k) * at(j, k)).sum();
                    let expected = if i == j { 1.0 } else { 0.0 };
                    assert!((dot - expected).abs() < 1e-6, "{rows}x{inputs}: <{i}, {j}> = {dot}");
                }
            }
        }
    }

    /// By Philox and numpy's f32 in Python: purpose 6, parameter 4; -b + 2 b u with b = 1 / sqrt(3).
    #[test]
    fn weights_are_what_the_generator_says_for_every_device_and_version() {
        let weights = Init::Torch.weight(Fan { rows: 2, inputs: 3, outputs: 2 }, 7 << 32 | 9, 4);
        let bits: Vec<u32> = weights[..4].iter().map(|weight| weight.to_bits()).collect();
        assert_eq!(bits, [0xbdd4_dadc, 0x3e64_7394, 0xbc9a_76e0, 0x3e8b_5f38]);
    }

    #[test]
    fn weights_depend_on_the_seed_and_the_parameter_alone() {
        for init in Init::ALL.iter().filter(|init| **init != Init::Zeros) {
            assert_eq!(init.weight(FAN, 3, 1), init.weight(FAN, 3, 1), "{init}");
            assert_ne!(init.weight(FAN, 3, 1), init.weight(FAN, 4, 1), "{init}");
            assert_ne!(init.weight(FAN, 3, 1), init.weight(FAN, 3, 2), "{init}");
        }
    }
}
