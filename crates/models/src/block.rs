//! The unit that a stage repeats: one convolution, or a residual block of two or three with a bridge over them (He 2016).

use burn::{module::Module, tensor::Tensor};
use kernels::After;

use crate::{
    Activation, Normalisation, Pass,
    builder::Builder,
    layers::{Conv2d, ConvSpec, Norm, Subsample, finish},
};

/// A block for an input of known shape.
#[derive(Clone, Debug)]
pub(crate) struct BlockPlan {
    /// One, or the two or three of a residual block.
    pub(crate) convs: Vec<ConvSpec>,
    pub(crate) project: Option<ConvSpec>,
    pub(crate) subsample: Option<Subsample>,
    /// What follows a single convolution in the same pass.
    pub(crate) after: After,
}

impl BlockPlan {
    pub(crate) fn init(&self, norm: Normalisation, activation: Activation, builder: &mut Builder<'_>) -> Block {
        let norm = |spec: &ConvSpec, builder: &mut Builder<'_>| Norm::init(norm, spec.outputs, builder);
        let conv = |index: usize, builder: &mut Builder<'_>| {
            self.convs.get(index).map(|spec| (Conv2d::init(spec, builder), norm(spec, builder))).unzip()
        };
        let first = &self.convs[0];
        let (conv1, norm1) = (Conv2d::init(first, builder), norm(first, builder));
        let (conv2, norm2) = conv(1, builder);
        let (conv3, norm3) = conv(2, builder);
        Block {
            conv1,
            norm1,
            conv2,
            norm2: norm2.flatten(),
            conv3,
            norm3: norm3.flatten(),
            shortcut: self
                .project
                .as_ref()
                .map(|spec| Project { conv: Conv2d::init(spec, builder), norm: norm(spec, builder) }),
            subsample: self.subsample,
            after: self.after,
            activation,
        }
    }
}

/// One convolution, or two or three with a bridge over them.
#[derive(Module, Debug)]
pub(crate) struct Block {
    conv1: Conv2d,
    norm1: Option<Norm>,
    conv2: Option<Conv2d>,
    norm2: Option<Norm>,
    conv3: Option<Conv2d>,
    norm3: Option<Norm>,
    shortcut: Option<Project>,
    #[module(skip)]
    subsample: Option<Subsample>,
    #[module(skip)]
    after: After,
    #[module(skip)]
    activation: Activation,
}

/// A 1x1 convolution that gives a bridge its shape.
#[derive(Module, Debug)]
struct Project {
    conv: Conv2d,
    norm: Option<Norm>,
}

impl Block {
    /// `[batch, channels, height, width]` to the plan's output.
    pub(crate) fn forward(&self, x: Tensor<4>, pass: Pass) -> Tensor<4> {
        let Some(conv2) = &self.conv2 else {
            return finish(self.conv1.forward(x, self.after), &self.norm1, None, self.activation, pass);
        };
        let (y, x) = self.conv1.forward_bridged(x, After::default());
        let mut y = conv2.forward(finish(y, &self.norm1, None, self.activation, pass), After::default());
        let mut last = &self.norm2;
        if let Some(conv3) = &self.conv3 {
            y = conv3.forward(finish(y, last, None, self.activation, pass), After::default());
            last = &self.norm3;
        }
        let bridge = match (&self.shortcut, &self.subsample) {
            (Some(Project { conv, norm }), _) => {
                finish(conv.forward(x, After::default()), norm, None, Activation::None, pass)
            }
            (None, Some(subsample)) => subsample.forward(x),
            (None, None) => x,
        };
        finish(y, last, Some(bridge), self.activation, pass)
    }

    /// The same for prediction, of its own: with `activation`, whoever computes it in [`forward`](Self::forward), and without pooling.
    pub(crate) fn whole(&self, x: Tensor<4>, activation: Activation) -> Tensor<4> {
        match self.conv2 {
            None => finish(self.conv1.forward(x, After::default()), &self.norm1, None, activation, Pass::Predict),
            // Nothing is taken into a residual block, and its activation never waits.
            Some(_) => self.forward(x, Pass::Predict),
        }
    }
}
