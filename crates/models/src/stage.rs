//! One stage of a CNN: blocks of convolutions of equal width, then pooling and dropout. Its configuration, its plan for an input of
//! known shape, and its module. The blocks themselves are in `block`.

use burn::{module::Module, tensor::Tensor};
use kernels::After;
use serde::{Deserialize, Serialize};

use crate::{
    Activation, Error, Normalisation, Padding, Pass, PoolConfig, PoolKind,
    block::{Block, BlockPlan},
    builder::Builder,
    features::{Recorder, words},
    layers::{ConvSpec, Dropout, Subsample},
    mlp::{check_dropout, within},
    named::named,
    summary::{Summary, product},
};

named! {
    /// Whether the input of each block of convolutions is added to its output (He 2016), and how where the shapes differ.
    pub enum Residual("residual") {
        /// Nothing is added: the stage is made of single convolutions.
        #[default]
        None = "none",
        /// Through a 1x1 convolution with the stage's normalisation (He's option B).
        Project = "project",
        /// Every stride-th pixel, and zeros for the channels that are new (He's option A): no parameters.
        Pad = "pad",
    }
}

/// One stage of a CNN.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StageConfig {
    /// Channels of its output.
    pub filters: usize,
    /// Rows and columns of each kernel.
    pub kernel: usize,
    /// Stride of its first convolution; the others have 1.
    pub stride: usize,
    /// Zeros around the map before each convolution.
    pub padding: Padding,
    /// Groups into which the channels are split; must divide the channels before and after. Of a bottleneck's, the middle one's.
    pub groups: usize,
    /// After each convolution.
    pub norm: Normalisation,
    /// After each normalisation; in a residual block, the second time after the addition.
    pub activation: Activation,
    /// Whether blocks of convolutions are bridged.
    pub residual: Residual,
    /// Channels between the 1x1 convolutions of each residual block, which has three then: 1x1, the kernel, 1x1 (He 2016's bottleneck;
    /// the stride is the middle one's, as torchvision has it). Without it a residual block has two.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bottleneck: Option<usize>,
    /// How many convolutions, or residual blocks.
    pub repeat: usize,
    /// At the end of the stage.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pool: Option<PoolConfig>,
    /// Probability with which a value is dropped after pooling in training, in `[0, 1)`.
    pub dropout: f64,
}

impl Default for StageConfig {
    fn default() -> Self {
        Self {
            filters: 32,
            kernel: 3,
            stride: 1,
            padding: Padding::Same,
            groups: 1,
            norm: Normalisation::None,
            activation: Activation::Relu,
            residual: Residual::None,
            bottleneck: None,
            repeat: 1,
            pool: None,
            dropout: 0.0,
        }
    }
}

/// A convolution whose input isn't known yet.
#[derive(Clone, Copy)]
struct Wanted {
    kernel: usize,
    stride: usize,
    filters: usize,
    groups: usize,
}

/// A stage for an input of known shape.
#[derive(Debug)]
pub(crate) struct StagePlan {
    pub(crate) blocks: Vec<BlockPlan>,
    pub(crate) norm: Normalisation,
    pub(crate) activation: Activation,
    /// Whether the last activation waits for pooling.
    late: bool,
    pub(crate) pool: Option<PoolConfig>,
    dropout: f64,
    /// `[channels, height, width]` after the stage.
    pub(crate) output: [usize; 3],
}

impl StageConfig {
    /// Checks the stage behind a map of `input`, `[channels, height, width]`, and lists its layers. `index` counts from zero.
    pub(crate) fn plan(&self, index: usize, input: [usize; 3], summary: &mut Summary) -> Result<StagePlan, Error> {
        let place = format!("stage {}", index + 1);
        self.check(&place)?;
        let mut shape = input;
        let mut blocks = Vec::new();
        for repeat in 0..self.repeat {
            let name = format!("stages.{index}.blocks.{repeat}");
            let stride = if repeat == 0 { self.stride } else { 1 };
            let (block, output) = self.plan_block(&place, &name, shape, stride, summary)?;
            blocks.push(block);
            shape = output;
        }
        if let Some(pool) = &self.pool {
            let [channels, height, width] = shape;
            let size = pool.output([height, width]).ok_or_else(|| {
                let what = format!(
                    "a {height}x{width} map cannot be pooled by {}; pool less in this stage or before it, or use larger images",
                    pool.size
                );
                Error::config(&place, what)
            })?;
            shape = [channels, size[0], size[1]];
            summary.push(format!("stages.{index}.pool"), pool.words(), &shape, 0, 0)?;
        }
        let StageConfig { norm, activation, pool, dropout, .. } = *self;
        Ok(StagePlan { blocks, norm, activation, late: self.is_late(), pool, dropout, output: shape })
    }

    /// ReLU keeps the order of values, so that the greatest may be found before it: the same numbers and gradients from a quarter of
    /// the work.
    fn is_late(&self) -> bool {
        let keeps_order = matches!(self.activation, Activation::Relu | Activation::LeakyRelu);
        keeps_order && self.residual == Residual::None && self.pool.is_some_and(|pool| pool.kind == PoolKind::Max)
    }

    fn check(&self, place: &str) -> Result<(), Error> {
        within(place, "filters", self.filters, 1..=1 << 20)?;
        within(place, "kernel", self.kernel, 1..=1024)?;
        within(place, "stride", self.stride, 1..=1024)?;
        within(place, "groups", self.groups, 1..=1 << 20)?;
        within(place, "repeat", self.repeat, 1..=1000)?;
        match self.padding {
            Padding::Each(n) => within(place, "padding", n, 0..=1024)?,
            Padding::To(n) => within(place, "the size that padding makes", n, 1..=1 << 15)?,
            Padding::Same | Padding::Valid => {}
        }
        if let Some(pool) = &self.pool {
            within(place, "the size of pooling", pool.size, 1..=1024)?;
            within(place, "the stride of pooling", pool.step(), 1..=1024)?;
            if pool.padding > pool.size / 2 {
                let what = format!(
                    "padding of {} around windows of {}: half of the window is the most",
                    pool.padding, pool.size
                );
                return Err(Error::config(place, what));
            }
        }
        if self.residual != Residual::None && self.padding != Padding::Same {
            let what = format!(
                "a residual stage needs padding `same`, not `{}`: both ways must end in one shape",
                self.padding
            );
            return Err(Error::config(place, what));
        }
        if let Some(between) = self.bottleneck {
            within(place, "bottleneck", between, 1..=1 << 20)?;
            if self.residual == Residual::None {
                return Err(Error::config(place, "a bottleneck is a residual block; add residual `project`"));
            }
        }
        check_dropout(place, self.dropout)
    }

    /// The convolutions of a block.
    fn convolutions(&self, stride: usize) -> Vec<Wanted> {
        let Self { kernel, filters, groups, .. } = *self;
        let point = |filters| Wanted { kernel: 1, stride: 1, filters, groups: 1 };
        match (self.residual, self.bottleneck) {
            (Residual::None, _) => vec![Wanted { kernel, stride, filters, groups }],
            (_, None) => [stride, 1].map(|stride| Wanted { kernel, stride, filters, groups }).to_vec(),
            (_, Some(between)) => {
                vec![point(between), Wanted { kernel, stride, filters: between, groups }, point(filters)]
            }
        }
    }

    fn plan_block(
        &self,
        place: &str,
        name: &str,
        input: [usize; 3],
        stride: usize,
        summary: &mut Summary,
    ) -> Result<(BlockPlan, [usize; 3]), Error> {
        let (mut convs, mut output) = (Vec::with_capacity(3), input);
        for (index, wanted) in self.convolutions(stride).into_iter().enumerate() {
            let (conv, size) = self.plan_conv(place, output, wanted)?;
            let number = index + 1;
            self.list(&format!("{name}.conv{number}"), &format!("{name}.norm{number}"), &conv, size, summary)?;
            convs.push(conv);
            output = size;
        }
        let mut block = BlockPlan { convs, project: None, subsample: None, after: After::default() };
        if self.residual != Residual::None {
            self.plan_shortcut(place, name, input, output, stride, &mut block, summary)?;
        }
        Ok((block, output))
    }

    fn plan_conv(
        &self,
        place: &str,
        input: [usize; 3],
        Wanted { kernel, stride, filters, groups }: Wanted,
    ) -> Result<(ConvSpec, [usize; 3]), Error> {
        let [inputs, height, width] = input;
        for (what, channels) in [("channels before it", inputs), ("filters", filters)] {
            if !channels.is_multiple_of(groups) {
                let what = format!("{} groups don't divide {channels} {what}", groups);
                return Err(Error::config(place, what));
            }
        }
        let around = |size| {
            self.padding.around(size, kernel).ok_or_else(|| {
                let what = format!(
                    "a {height}x{width} map is larger than padding `{}` makes it; resize the images",
                    self.padding
                );
                Error::config(place, what)
            })
        };
        let spec = ConvSpec {
            inputs,
            outputs: filters,
            kernel,
            stride,
            padding: [around(height)?, around(width)?],
            groups,
            // Batch normalisation would subtract a bias again.
            bias: self.norm != Normalisation::Batch,
        };
        let size = spec.output([height, width]).ok_or_else(|| {
            let what = format!("a {kernel}x{kernel} kernel doesn't fit a {height}x{width} map; use padding `same`, a smaller kernel or larger images");
            Error::config(place, what)
        })?;
        Ok((spec, [filters, size[0], size[1]]))
    }

    #[expect(clippy::too_many_arguments, reason = "both ways of the block, where they start and where they must meet")]
    fn plan_shortcut(
        &self,
        place: &str,
        name: &str,
        input: [usize; 3],
        output: [usize; 3],
        stride: usize,
        block: &mut BlockPlan,
        summary: &mut Summary,
    ) -> Result<(), Error> {
        if input == output && stride == 1 {
            return Ok(());
        }
        if self.residual == Residual::Pad {
            let Some(added) = output[0].checked_sub(input[0]) else {
                let what = format!("{} channels cannot be padded to {}; use residual `project`", input[0], output[0]);
                return Err(Error::config(place, what));
            };
            block.subsample = Some(Subsample { stride, before: added / 2, after: added - added / 2 });
            return Ok(());
        }
        let bias = self.norm != Normalisation::Batch;
        let (inputs, outputs) = (input[0], output[0]);
        let spec = ConvSpec { inputs, outputs, kernel: 1, stride, padding: [(0, 0); 2], groups: 1, bias };
        self.list(&format!("{name}.shortcut.conv"), &format!("{name}.shortcut.norm"), &spec, output, summary)?;
        block.project = Some(spec);
        Ok(())
    }

    /// Lists a convolution and its normalisation.
    fn list(
        &self,
        conv: &str,
        norm: &str,
        spec: &ConvSpec,
        output: [usize; 3],
        summary: &mut Summary,
    ) -> Result<(), Error> {
        let weights = product(&[spec.fan_in(), spec.outputs]);
        let biases = if spec.bias { spec.outputs as u64 } else { 0 };
        let products = weights.saturating_mul(product(&output[1..]));
        let kind = format!("conv {0}x{0}", spec.kernel);
        summary.push(conv.to_owned(), kind, &output, weights.saturating_add(biases), products)?;
        if self.norm != Normalisation::None {
            summary.push(norm.to_owned(), format!("{} norm", self.norm), &output, 2 * output[0] as u64, 0)?;
        }
        Ok(())
    }
}

impl StagePlan {
    pub(crate) fn init(&self, builder: &mut Builder<'_>) -> Stage {
        let (fused, last) = (self.fuses(), self.blocks.len() - 1);
        let mut stage = Stage {
            blocks: Vec::with_capacity(self.blocks.len()),
            dropout: None,
            pool: self.pool.filter(|_| !(fused && self.late)),
            late: if self.late && !fused { self.activation } else { Activation::None },
        };
        for (i, block) in self.blocks.iter().enumerate() {
            let pool = self.pool.filter(|_| self.late && i == last);
            let pool = pool.map(|pool| pool.window());
            let (activation, after) = match fused {
                true => (Activation::None, After { relu: true, pool }),
                false if self.late && i == last => (Activation::None, After::default()),
                false => (self.activation, After::default()),
            };
            stage.blocks.push(BlockPlan { after, ..block.clone() }.init(self.norm, activation, builder));
        }
        stage.dropout = Dropout::init(self.dropout, builder);
        stage
    }

    /// Whether the convolutions take their ReLU, and the last one the pooling, into the same pass.
    fn fuses(&self) -> bool {
        let single = self.blocks.iter().all(|block| block.convs.len() == 1);
        single && self.norm == Normalisation::None && self.activation == Activation::Relu
    }
}

/// A stage.
#[derive(Module, Debug)]
pub(crate) struct Stage {
    blocks: Vec<Block>,
    dropout: Option<Dropout>,
    #[module(skip)]
    pool: Option<PoolConfig>,
    /// The activation that waits for pooling.
    #[module(skip)]
    late: Activation,
}

impl Stage {
    /// `[batch, channels, height, width]` to the plan's output.
    pub(crate) fn forward(&self, x: Tensor<4>, pass: Pass) -> Tensor<4> {
        let mut x = self.blocks.iter().fold(x, |x, block| block.forward(x, pass));
        x = match &self.pool {
            Some(pool) => pool.forward(x, self.late),
            None => self.late.forward(x),
        };
        match &self.dropout {
            Some(dropout) => dropout.forward(x, pass),
            None => x,
        }
    }

    /// What the last block puts out for prediction, before pooling, and its number; `config` is what the stage was made of.
    pub(crate) fn last_map(&self, x: Tensor<4>, config: &StageConfig) -> (usize, Tensor<4>) {
        let map = self.blocks.iter().fold(x, |x, block| block.whole(x, config.activation));
        (self.blocks.len().saturating_sub(1), map)
    }

    /// The same for prediction, block by block and the pooling by itself; `config` is what the stage was made of.
    pub(crate) fn record(
        &self,
        mut x: Tensor<4>,
        name: &str,
        config: &StageConfig,
        recorder: &mut Recorder,
    ) -> Tensor<4> {
        let conv = format!("conv {0}x{0}", config.kernel);
        let layer = match (config.residual, config.bottleneck) {
            (Residual::None, _) => conv,
            (_, None) => format!("residual block, two {conv}"),
            (_, Some(_)) => format!("residual block, conv 1x1, {conv}, conv 1x1"),
        };
        for (index, block) in self.blocks.iter().enumerate() {
            x = block.whole(x, config.activation);
            recorder.map(format!("{name}.blocks.{index}"), words(&layer, config.norm, config.activation), &x);
        }
        if let Some(pool) = &config.pool {
            x = pool.forward(x, Activation::None);
            recorder.map(format!("{name}.pool"), pool.words(), &x);
        }
        x
    }
}
