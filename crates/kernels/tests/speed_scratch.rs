use burn::tensor::{DType, Device, ops::ConvOptions};
use kernels::{After, MaxPool};
mod parity;
use parity::random;
fn cpu() -> f64 {
    // process cpu
    let s = std::fs::read_to_string("/proc/self/stat").unwrap();
    let f: Vec<&str> = s.rsplit(')').next().unwrap().split_whitespace().collect();
    (f[11].parse::<f64>().unwrap() + f[12].parse::<f64>().unwrap()) / 100.0
}
#[test]
#[ignore]
fn speed() {
    let device = Device::flex().autodiff();
    let after = After { relu: true, pool: Some(MaxPool { size: 2, stride: 2 }) };
    for (x, w, after, track) in [
        ([64, 1, 28, 28], [32, 1, 3, 3], after, false),
        ([64, 32, 14, 14], [64, 32, 3, 3], after, true),
        ([128, 16, 32, 32], [16, 16, 3, 3], After::default(), true),
        ([128, 32, 16, 16], [32, 32, 3, 3], After::default(), true),
        ([128, 64, 8, 8], [64, 64, 3, 3], After::default(), true),
        ([128, 64, 16, 16], [64, 1, 3, 3], After::default(), true),
    ] {
        let o = ConvOptions::new([1, 1], [1, 1], [1, 1], x[1] / w[1]);
        let xt = random(x, 1, DType::F32, &device);
        let xt = if track { xt.require_grad() } else { xt };
        let wt = random(w, 2, DType::F32, &device).require_grad();
        let b = random([w[0]], 3, DType::F32, &device).require_grad();
        let flop = 2.0 * (x[0] * w[0] * w[1] * 9 * x[2] * x[3]) as f64;
        let (mut f, mut bw) = (f64::MAX, f64::MAX);
        let n = (2e9 / flop) as usize + 1;
        let dev2 = Device::flex();
        let (xi, wi, bi) = (xt.clone().inner(), wt.clone().inner(), b.clone().inner());
        let _ = dev2;
        let xi = kernels::conv2d(
            xi.clone(),
            random([x[1], 1, 1, 1], 5, DType::F32, &Device::flex()),
            None,
            ConvOptions::new([1, 1], [0, 0], [1, 1], x[1]),
            After::default(),
        );
        for _ in 0..5 {
            let c = cpu();
            for _ in 0..5 * n {
                std::hint::black_box(kernels::conv2d(xi.clone(), wi.clone(), Some(bi.clone()), o.clone(), after));
            }
            f = f.min((cpu() - c) / (5 * n) as f64);
            let g0 = kernels::conv2d(xt.clone(), wt.clone(), Some(b.clone()), o.clone(), after).sum();
            drop(g0);
            let c = cpu();
            for _ in 0..2 * n {
                let y = kernels::conv2d(xt.clone(), wt.clone(), Some(b.clone()), o.clone(), after);
                let g = y.sum().backward();
                std::hint::black_box(g);
            }
            bw = bw.min((cpu() - c) / (2 * n) as f64);
        }
        println!(
            "{x:?} {w:?} fwd {:.0} GF/s per core, fwd+bwd {:.0} GF/s",
            flop / f / 1e9,
            flop * if track { 3.0 } else { 2.0 } / bw / 1e9
        );
    }
}
