//! Normalisation between layers: by the batch, or by groups of a sample's own channels. PyTorch's names and statistics.

use burn::{
    module::{Module, Param},
    tensor::Tensor,
};

use kernels::Join;

use super::running::Running;
use crate::{
    Activation, Pass,
    builder::Builder,
    named::named,
    precision::{in_f32, widened},
    trace::report,
};

named! {
    /// What normalises the outputs of a layer before its activation.
    pub enum Normalisation("normalisation") {
        /// Nothing.
        #[default]
        None = "none",
        /// Each channel over the batch (Ioffe 2015). The layer before it has no bias, which would be subtracted again.
        Batch = "batch",
        /// Each sample over all its channels and positions (Ba 2016).
        Layer = "layer",
        /// Each sample over groups of its channels (Wu 2018): as many groups as divide the channels, at most 32.
        Group = "group",
    }
}

pub(crate) const EPSILON: f64 = 1e-5;
const MOMENTUM: f64 = 0.1;

/// How many groups `group` makes of `channels`: the greatest divisor that is 32 at most.
pub(crate) fn group_count(channels: usize) -> usize {
    (1..=channels.min(32)).rev().find(|groups| channels.is_multiple_of(*groups)).unwrap_or(1)
}

/// A normalisation over the second dimension.
#[derive(Module, Debug)]
#[expect(clippy::large_enum_variant, reason = "nearly all are the large one, and a network has few")]
pub(crate) enum Norm {
    Batch(BatchNorm),
    Group(GroupNorm),
}

impl Norm {
    pub(crate) fn init(norm: Normalisation, channels: usize, builder: &mut Builder<'_>) -> Option<Self> {
        match norm {
            Normalisation::None => None,
            Normalisation::Batch => Some(Self::Batch(BatchNorm::init(channels, builder))),
            Normalisation::Layer => Some(Self::Group(GroupNorm::init(channels, 1, builder))),
            Normalisation::Group => Some(Self::Group(GroupNorm::init(channels, group_count(channels), builder))),
        }
    }
}

/// What follows a layer, `[batch, channels, ..]` before and after: its normalisation, a bridge that is added, the activation. The ReLU
/// and the bridge cost no pass of their own behind batch normalisation.
pub(crate) fn finish<const D: usize>(
    x: Tensor<D>,
    norm: &Option<Norm>,
    bridge: Option<Tensor<D>>,
    activation: Activation,
    pass: Pass,
) -> Tensor<D> {
    let join = Join { bridge, relu: activation == Activation::Relu };
    let activation = if join.relu { Activation::None } else { activation };
    let (y, weight) = match norm {
        Some(Norm::Batch(norm)) => {
            let join = Join { bridge: join.bridge.map(widened), ..join };
            (in_f32(x, |x| norm.forward(x, join, pass)), Some(norm.weight.id))
        }
        Some(Norm::Group(norm)) => (join.apply(in_f32(x, |x| norm.forward(x))), Some(norm.weight.id)),
        None => (join.apply(x), None),
    };
    weight.inspect(|weight| report(*weight, &y));
    activation.forward(y)
}

/// Normalisation over the batch. In training by the batch's own statistics, which move the running ones by a tenth: the variance
/// there is the unbiased one, n / (n - 1) times what the batch is normalised by, as in PyTorch (Burn's own keeps the biased one).
/// A batch of one value for each channel has no variance: it is normalised by the running statistics, which stay. So is every batch where
/// scale and shift are frozen.
#[derive(Module, Debug)]
pub(crate) struct BatchNorm {
    weight: Param<Tensor<1>>,
    bias: Param<Tensor<1>>,
    running_mean: Running,
    running_var: Running,
}

impl BatchNorm {
    fn init(channels: usize, builder: &mut Builder<'_>) -> Self {
        Self {
            weight: builder.constant(1.0, channels),
            bias: builder.constant(0.0, channels),
            running_mean: Running::new(builder.buffer(0.0, channels)),
            running_var: Running::new(builder.buffer(1.0, channels)),
        }
    }

    /// Whether neither scale nor shift is trained, where gradients are.
    fn is_frozen(&self) -> bool {
        let still = |param: &Param<Tensor<1>>| {
            let value = param.val();
            value.is_autodiff() && !value.is_require_grad()
        };
        still(&self.weight) && still(&self.bias)
    }

    fn forward<const D: usize>(&self, x: Tensor<D>, join: Join<D>, pass: Pass) -> Tensor<D> {
        let dims = x.dims();
        let values = dims.iter().product::<usize>() / dims[1].max(1);
        let affine = [self.weight.val(), self.bias.val()];
        if matches!(pass, Pass::Predict) || values < 2 || self.is_frozen() {
            let statistics = [self.running_mean.value(), self.running_var.value()];
            return kernels::batch_norm(x, affine, statistics, EPSILON, join);
        }
        let (output, [mean, variance]) = kernels::batch_norm_train(x, affine, EPSILON, join);
        let unbiased = values as f64 / (values - 1) as f64;
        self.running_mean.update(mean, MOMENTUM);
        self.running_var.update(variance.mul_scalar(unbiased), MOMENTUM);
        output
    }
}

/// Normalisation of each sample by itself; the same in training and prediction. One group makes it layer normalisation.
#[derive(Module, Debug)]
pub(crate) struct GroupNorm {
    weight: Param<Tensor<1>>,
    bias: Param<Tensor<1>>,
    groups: usize,
}

impl GroupNorm {
    fn init(channels: usize, groups: usize, builder: &mut Builder<'_>) -> Self {
        Self { weight: builder.constant(1.0, channels), bias: builder.constant(0.0, channels), groups }
    }

    fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        let dims = x.dims();
        let mut channels = [1; D];
        channels[1] = dims[1];
        let all: usize = dims.iter().product();
        let rows = dims[0] * self.groups;
        let x = x.reshape([rows, all / rows.max(1)]); // [batch * groups, channels / groups * positions]
        let centred = x.clone() - x.mean_dim(1);
        let deviation = centred.clone().powi_scalar(2).mean_dim(1).add_scalar(EPSILON).sqrt();
        let normal = centred.div(deviation).reshape(dims);
        normal * self.weight.val().reshape(channels) + self.bias.val().reshape(channels)
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, TensorData};

    use super::*;
    use crate::Init;

    const TRAIN: Pass = Pass::Train { seed: 0, step: 0, first: 0 };

    fn batch_norm() -> BatchNorm {
        BatchNorm::init(2, &mut Builder::new(&Device::flex(), 0, Init::Torch))
    }

    #[test]
    fn the_running_variance_is_unbiased() {
        let norm = batch_norm();
        let x = Tensor::<2>::from_floats([[1.0, 0.0], [2.0, 0.0], [6.0, 3.0]], &Device::flex());
        norm.forward(x, Join::default(), TRAIN);
        // Means 3 and 1, unbiased variances 7 and 3.
        norm.running_mean
            .value()
            .into_data()
            .assert_approx_eq::<f32>(&TensorData::from([0.3f32, 0.1]), burn::tensor::Tolerance::absolute(1e-6));
        norm.running_var.value().into_data().assert_approx_eq::<f32>(
            &TensorData::from([0.9f32 + 0.7, 0.9 + 0.3]),
            burn::tensor::Tolerance::absolute(1e-6),
        );
    }

    #[test]
    fn one_value_for_each_channel_leaves_the_statistics_alone() {
        let norm = batch_norm();
        let x = Tensor::<4>::from_floats([[[[5.0]], [[7.0]]]], &Device::flex());
        let y = norm.forward(x, Join::default(), TRAIN).into_data().try_to_vec::<f32>().unwrap();
        assert!((y[0] - 5.0).abs() < 1e-3 && (y[1] - 7.0).abs() < 1e-3, "{y:?}");
        assert_eq!(norm.running_var.value().into_data(), TensorData::from([1.0f32, 1.0]));
    }

    #[test]
    fn groups_divide_the_channels() {
        assert_eq!([1, 7, 16, 64, 66, 97].map(group_count), [1, 7, 16, 32, 22, 1]);
    }
}
