//! The transforms of Winograd's F(4, 3) along one side of a tile, and of the weights; over vectors of channels, which it leaves to its
//! neighbours to read and write.
//!
//! A filter and a patch are polynomials; their product is found from its values at the points 0, 3/4, -3/4, 3/2, -3/2 and infinity (Toom
//! and Cook; Winograd 1980; Lavin and Gray 2015). Those of the paper are 0, 1, -1, 2, -2; with these here, whose powers up to the third
//! are exact in f32, rounding is a quarter of that: at most 1.5e-6 of the largest output for 64 channels of random numbers, where the sums
//! that define a convolution have 6e-7.

use pulp::Simd;

const A: f32 = 0.75;
const B: f32 = 1.5;
const A2: f32 = A * A;
const B2: f32 = B * B;

/// `factor * x + y`.
#[inline(always)]
fn times<S: Simd>(simd: S, factor: f32, x: S::f32s, y: S::f32s) -> S::f32s {
    simd.mul_add_e_f32s(simd.splat_f32s(factor), x, y)
}

/// Six values of a patch, which are `M(x) / (x - p)` without the remainder for each point p, where M has its zeros at all finite points.
#[inline(always)]
pub(super) fn input<S: Simd>(simd: S, d: [S::f32s; 6]) -> [S::f32s; 6] {
    let (even_a, odd_a) = (times(simd, -B2, d[2], d[4]), times(simd, -B2, d[1], d[3]));
    let (even_b, odd_b) = (times(simd, -A2, d[2], d[4]), times(simd, -A2, d[1], d[3]));
    [
        times(simd, A2 * B2, d[0], times(simd, -A2 - B2, d[2], d[4])),
        times(simd, A, odd_a, even_a),
        times(simd, -A, odd_a, even_a),
        times(simd, B, odd_b, even_b),
        times(simd, -B, odd_b, even_b),
        times(simd, A2 * B2, d[1], times(simd, -A2 - B2, d[3], d[5])),
    ]
}

/// Four outputs from the products at the six points.
#[inline(always)]
pub(super) fn output<S: Simd>(simd: S, m: [S::f32s; 6]) -> [S::f32s; 4] {
    let (even_a, odd_a) = (simd.add_f32s(m[1], m[2]), simd.sub_f32s(m[1], m[2]));
    let (even_b, odd_b) = (simd.add_f32s(m[3], m[4]), simd.sub_f32s(m[3], m[4]));
    [
        simd.add_f32s(m[0], simd.add_f32s(even_a, even_b)),
        times(simd, A, odd_a, simd.mul_f32s(simd.splat_f32s(B), odd_b)),
        times(simd, A2, even_a, simd.mul_f32s(simd.splat_f32s(B2), even_b)),
        times(simd, A2 * A, odd_a, times(simd, B2 * B, odd_b, m[5])),
    ]
}

/// A filter of 3x3 at the 36 pairs of points, in rows; each is divided by what the patches' polynomials are at its points.
pub(super) fn filter(weights: &[f32]) -> [f32; 36] {
    let along = |g: [f64; 3]| {
        let (a, b) = (f64::from(A), f64::from(B));
        let at = |p: f64, scale: f64| (g[0] + p * (g[1] + p * g[2])) / scale;
        let (near, far) = (2.0 * a * a * (a * a - b * b), 2.0 * b * b * (b * b - a * a));
        [at(0.0, a * a * b * b), at(a, near), at(-a, near), at(b, far), at(-b, far), g[2]]
    };
    let weight = |row: usize, column: usize| weights.get(row * 3 + column).map_or(0.0, |&weight| f64::from(weight));
    let columns = [0, 1, 2].map(|column| along([0, 1, 2].map(|row| weight(row, column))));
    let mut all = [0.0; 36];
    for (row, values) in all.chunks_exact_mut(6).enumerate() {
        for (value, exact) in values.iter_mut().zip(along(columns.map(|column| column[row]))) {
            *value = exact as f32;
        }
    }
    all
}
