//! The benchmark's two networks as anybody would write them with Burn's own modules: what ours are compared with. Included by the
//! benchmarks of `trainer` and `infer`; no part of the product.

use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::pool::{MaxPool2d, MaxPool2dConfig};
use burn::nn::{Linear, LinearConfig, PaddingConfig2d};
use burn::tensor::{Device, Tensor, activation::relu};

/// One of the two.
#[expect(clippy::large_enum_variant, reason = "there is one at a time")]
#[derive(Module, Debug)]
pub(crate) enum Plain {
    /// 784-512-256-10.
    Mlp(Mlp),
    /// 3x3 convolutions of 32 and 64 filters, each pooled by 2, and a hidden layer of 128.
    Cnn(Cnn),
}

#[derive(Module, Debug)]
pub(crate) struct Mlp {
    first: Linear,
    second: Linear,
    last: Linear,
}

#[derive(Module, Debug)]
pub(crate) struct Cnn {
    first: Conv2d,
    second: Conv2d,
    pool: MaxPool2d,
    hidden: Linear,
    last: Linear,
}

impl Plain {
    /// The network called `name`, `mlp` or `cnn`, with Burn's initial weights.
    pub(crate) fn new(name: &str, device: &Device) -> Self {
        let linear = |inputs, outputs| LinearConfig::new(inputs, outputs).init(device);
        if name == "mlp" {
            return Self::Mlp(Mlp { first: linear(784, 512), second: linear(512, 256), last: linear(256, 10) });
        }
        let conv = |inputs, filters| {
            let config = Conv2dConfig::new([inputs, filters], [3, 3]);
            config.with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1)).init(device)
        };
        Self::Cnn(Cnn {
            first: conv(1, 32),
            second: conv(32, 64),
            pool: MaxPool2dConfig::new([2, 2]).with_strides([2, 2]).init(),
            hidden: linear(64 * 7 * 7, 128),
            last: linear(128, 10),
        })
    }

    /// `[batch, 1, 28, 28]` to `[batch, 10]`.
    pub(crate) fn forward(&self, x: Tensor<4>) -> Tensor<2> {
        match self {
            Self::Mlp(net) => {
                let x = relu(net.first.forward(x.flatten::<2>(1, 3)));
                net.last.forward(relu(net.second.forward(x)))
            }
            Self::Cnn(net) => {
                let x = net.pool.forward(relu(net.first.forward(x))); // [batch, 32, 14, 14]
                let x = net.pool.forward(relu(net.second.forward(x))); // [batch, 64, 7, 7]
                net.last.forward(relu(net.hidden.forward(x.flatten::<2>(1, 3))))
            }
        }
    }
}
