//! The benchmark's networks as anybody would write them with Burn's own modules: what ours are compared with. Included by the
//! benchmarks of `trainer` and `infer`; no part of the product.

use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::pool::{
    AdaptiveAvgPool2d, AdaptiveAvgPool2dConfig, AvgPool2d, AvgPool2dConfig, MaxPool2d, MaxPool2dConfig,
};
use burn::nn::{BatchNorm, BatchNormConfig, Linear, LinearConfig, PaddingConfig2d};
use burn::tensor::{Device, Tensor, activation::relu};

use crate::nets::{CLASSES, MOBILE};

/// One of them.
#[expect(clippy::large_enum_variant, reason = "there is one at a time")]
#[derive(Module, Debug)]
pub(crate) enum Plain {
    /// 784-512-256-10.
    Mlp(Mlp),
    /// 3x3 convolutions of 32 and 64 filters, each pooled by 2, and a hidden layer of 128.
    Cnn(Cnn),
    /// Blocks, the mean of each channel, a linear layer.
    Deep(Deep),
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

#[derive(Module, Debug)]
pub(crate) struct Deep {
    blocks: Vec<Block>,
    pool: AdaptiveAvgPool2d,
    last: Linear,
}

/// A normalised convolution; with a second one, a residual block (He 2016, option A).
#[derive(Module, Debug)]
pub(crate) struct Block {
    first: Conv,
    second: Option<Conv>,
    subsample: AvgPool2d,
    added: usize,
}

#[derive(Module, Debug)]
pub(crate) struct Conv {
    conv: Conv2d,
    norm: BatchNorm,
}

impl Plain {
    /// The network called `name`, with Burn's initial weights.
    pub(crate) fn new(name: &str, device: &Device) -> Self {
        match name {
            "mlp" => Self::Mlp(Mlp::new(device)),
            "cnn" => Self::Cnn(Cnn::new(device)),
            "resnet20" => Self::Deep(Deep::resnet20(device)),
            _ => Self::Deep(Deep::mobile(device)),
        }
    }

    /// `[batch, channels, height, width]` to `[batch, 10]`.
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
            Self::Deep(net) => {
                let x = net.blocks.iter().fold(x, |x, block| block.forward(x));
                net.last.forward(net.pool.forward(x).flatten::<2>(1, 3))
            }
        }
    }
}

impl Mlp {
    fn new(device: &Device) -> Self {
        let linear = |inputs, outputs| LinearConfig::new(inputs, outputs).init(device);
        Self { first: linear(784, 512), second: linear(512, 256), last: linear(256, CLASSES) }
    }
}

impl Cnn {
    fn new(device: &Device) -> Self {
        let conv = |inputs, filters| {
            let config = Conv2dConfig::new([inputs, filters], [3, 3]);
            config.with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1)).init(device)
        };
        Self {
            first: conv(1, 32),
            second: conv(32, 64),
            pool: MaxPool2dConfig::new([2, 2]).with_strides([2, 2]).init(),
            hidden: LinearConfig::new(64 * 7 * 7, 128).init(device),
            last: LinearConfig::new(128, CLASSES).init(device),
        }
    }
}

impl Deep {
    fn new(blocks: Vec<Block>, filters: usize, device: &Device) -> Self {
        let pool = AdaptiveAvgPool2dConfig::new([1, 1]).init();
        Self { blocks, pool, last: LinearConfig::new(filters, CLASSES).init(device) }
    }

    fn resnet20(device: &Device) -> Self {
        let mut blocks = vec![Block::single([3, 16], 3, 1, 1, device)];
        let mut inputs = 16;
        for (filters, stride) in [(16, 1), (32, 2), (64, 2)] {
            for index in 0..3 {
                blocks.push(Block::residual([inputs, filters], if index == 0 { stride } else { 1 }, device));
                inputs = filters;
            }
        }
        Self::new(blocks, inputs, device)
    }

    fn mobile(device: &Device) -> Self {
        let mut blocks = vec![Block::single([3, 32], 3, 1, 1, device)];
        let mut inputs = 32;
        for (filters, stride) in MOBILE {
            blocks.push(Block::single([inputs, inputs], 3, stride, inputs, device));
            blocks.push(Block::single([inputs, filters], 1, 1, 1, device));
            inputs = filters;
        }
        Self::new(blocks, inputs, device)
    }
}

impl Block {
    fn single(channels: [usize; 2], kernel: usize, stride: usize, groups: usize, device: &Device) -> Self {
        let subsample = AvgPool2dConfig::new([1, 1]).with_strides([stride; 2]).init();
        let first = Conv::new(channels, kernel, stride, groups, device);
        Self { first, second: None, subsample, added: channels[1] - channels[0] }
    }

    fn residual(channels: [usize; 2], stride: usize, device: &Device) -> Self {
        let second = Some(Conv::new([channels[1]; 2], 3, 1, 1, device));
        Self { second, ..Self::single(channels, 3, stride, 1, device) }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let y = relu(self.first.forward(x.clone()));
        let Some(second) = &self.second else { return y };
        let bridge = match self.added {
            0 => x,
            added => {
                let half = added / 2;
                self.subsample.forward(x).pad([(0, 0), (half, added - half), (0, 0), (0, 0)], 0.0)
            }
        };
        relu(second.forward(y) + bridge)
    }
}

impl Conv {
    fn new(channels: [usize; 2], kernel: usize, stride: usize, groups: usize, device: &Device) -> Self {
        let around = kernel / 2;
        let conv = Conv2dConfig::new(channels, [kernel; 2])
            .with_stride([stride; 2])
            .with_padding(PaddingConfig2d::Explicit(around, around, around, around))
            .with_groups(groups)
            .with_bias(false);
        Self { conv: conv.init(device), norm: BatchNormConfig::new(channels[1]).init(device) }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        self.norm.forward(self.conv.forward(x))
    }
}
