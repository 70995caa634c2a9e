//! The configuration of a network: one variant for each architecture, from a preset, a recipe or flags, to a model or a clear error.

use burn::tensor::Device;
use data::InputSpec;
use serde::{Deserialize, Serialize};

use crate::{
    Activation, CnnConfig, Error, Init, LayerSummary, MlpConfig, Model, Normalisation,
    builder::Builder,
    cnn::CnnPlan,
    mlp::{MlpPlan, within},
    model::Net,
    summary::Summary,
};

/// What network to build. In recipes and model files, `arch` says which: `mlp` or `cnn`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "arch", rename_all = "lowercase")]
pub enum ModelConfig {
    /// A multilayer perceptron.
    Mlp(MlpConfig),
    /// A convolutional network.
    Cnn(CnnConfig),
}

/// Changes to a configuration that flags ask for; what isn't given stays.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Custom {
    /// Units of the hidden layers, in a CNN those of its head.
    pub hidden: Option<Vec<usize>>,
    /// Filters of the stages of a CNN.
    pub filters: Option<Vec<usize>>,
    /// Kernel size of the stages of a CNN.
    pub kernel: Option<usize>,
    /// Dropout of the hidden layers, in a CNN that of its head.
    pub dropout: Option<f64>,
    /// Normalisation everywhere.
    pub norm: Option<Normalisation>,
    /// Activation everywhere.
    pub activation: Option<Activation>,
    /// How weights begin.
    pub init: Option<Init>,
}

/// A checked network for an input and outputs of known number.
#[derive(Debug)]
pub(crate) enum NetPlan {
    Mlp(MlpPlan),
    Cnn(CnnPlan),
}

impl ModelConfig {
    /// Builds the network for `input` with `outputs` outputs, its weights a pure function of `seed`, on `device`.
    ///
    /// # Errors
    /// [`Error::Config`] where the network makes no sense, on its own or for this input, or is too large; it names the layer.
    pub fn init(&self, input: &InputSpec, outputs: usize, seed: u64, device: &Device) -> Result<Model, Error> {
        self.build(input, outputs, Builder::new(device, seed, self.initialiser()))
    }

    /// The same network with zeros for weights, for those that come from a file: drawing numbers for all of them takes longer than reading
    /// them, and orthogonal ones minutes.
    ///
    /// # Errors
    /// Those of [`ModelConfig::init`].
    pub fn blank(&self, input: &InputSpec, outputs: usize, device: &Device) -> Result<Model, Error> {
        self.build(input, outputs, Builder::new(device, 0, Init::Zeros))
    }

    fn build(&self, input: &InputSpec, outputs: usize, mut builder: Builder<'_>) -> Result<Model, Error> {
        let (plan, _) = self.plan(input, outputs)?;
        let net = match &plan {
            NetPlan::Mlp(plan) => Net::Mlp(plan.init(&mut builder)),
            NetPlan::Cnn(plan) => Net::Cnn(plan.init(&mut builder)),
        };
        Ok(Model::new(net, self.clone(), input.clone(), outputs))
    }

    /// Checks the network and lists its layers, without building it.
    pub(crate) fn plan(&self, input: &InputSpec, outputs: usize) -> Result<(NetPlan, Vec<LayerSummary>), Error> {
        within("output", "the number of outputs", outputs, 1..=1 << 20)?;
        check_input(input)?;
        let mut summary = Summary::default();
        let plan = match self {
            Self::Mlp(config) => NetPlan::Mlp(config.plan(input.len(), outputs, &mut summary)?),
            Self::Cnn(_) if matches!(input, InputSpec::Table(_)) => {
                return Err(Error::config(
                    "input",
                    "a CNN needs images, and these are rows of a table; use the model `mlp`",
                ));
            }
            Self::Cnn(config) => NetPlan::Cnn(config.plan(input.shape(), outputs, &mut summary)?),
        };
        Ok((plan, summary.into_layers()))
    }

    /// How its weights begin.
    pub fn initialiser(&self) -> Init {
        match self {
            Self::Mlp(config) => config.init,
            Self::Cnn(config) => config.init,
        }
    }

    /// Applies the changes that flags ask for.
    ///
    /// # Errors
    /// [`Error::Config`] for an option that this network doesn't have, or whose numbers don't fit its stages.
    pub fn customise(&self, custom: &Custom) -> Result<Self, Error> {
        let mut config = self.clone();
        match &mut config {
            Self::Mlp(mlp) => customise_mlp(mlp, custom)?,
            Self::Cnn(cnn) => customise_cnn(cnn, custom)?,
        }
        Ok(config)
    }
}

fn check_input(input: &InputSpec) -> Result<(), Error> {
    let [channels, height, width] = input.shape();
    within("input", "channels or features", channels, 1..=1 << 20)?;
    within("input", "height", height, 1..=data::image::MAX_INPUT)?;
    within("input", "width", width, 1..=data::image::MAX_INPUT)?;
    input.check().map_err(|what| Error::config("input", what))?;
    let (mean, std) = input.normalisation();
    let good = mean.iter().all(|x| x.is_finite()) && std.iter().all(|x| x.is_finite() && *x > 0.0);
    if mean.len() != channels || std.len() != channels || !good {
        let what =
            format!("the normalisation must give {channels} finite means and as many standard deviations above zero");
        return Err(Error::config("input", what));
    }
    Ok(())
}

fn customise_mlp(mlp: &mut MlpConfig, custom: &Custom) -> Result<(), Error> {
    let absent = |option: &str| Error::config(option, "an MLP has no convolutions; choose a CNN with `--model cnn`");
    if custom.filters.is_some() {
        return Err(absent("--filters"));
    }
    if custom.kernel.is_some() {
        return Err(absent("--kernel"));
    }
    set(&mut mlp.hidden, &custom.hidden);
    set(&mut mlp.dropout, &custom.dropout);
    set(&mut mlp.norm, &custom.norm);
    set(&mut mlp.activation, &custom.activation);
    set(&mut mlp.init, &custom.init);
    Ok(())
}

fn customise_cnn(cnn: &mut CnnConfig, custom: &Custom) -> Result<(), Error> {
    if let Some(filters) = &custom.filters {
        set_filters(cnn, filters)?;
    }
    for stage in &mut cnn.stages {
        set(&mut stage.kernel, &custom.kernel);
        set(&mut stage.norm, &custom.norm);
        set(&mut stage.activation, &custom.activation);
    }
    set(&mut cnn.head.hidden, &custom.hidden);
    set(&mut cnn.head.dropout, &custom.dropout);
    set(&mut cnn.head.norm, &custom.norm);
    set(&mut cnn.head.activation, &custom.activation);
    set(&mut cnn.init, &custom.init);
    Ok(())
}

/// One number for each stage there is; any number of them where the stages differ in nothing else.
fn set_filters(cnn: &mut CnnConfig, filters: &[usize]) -> Result<(), Error> {
    if filters.len() != cnn.stages.len() {
        let mut alike = cnn.stages.clone();
        alike.iter_mut().for_each(|stage| stage.filters = 0);
        let Some(first) =
            alike.first().filter(|first| !filters.is_empty() && alike.iter().all(|stage| stage == *first))
        else {
            let what =
                format!("this network has {} stages and needs as many numbers, not {}", alike.len(), filters.len());
            return Err(Error::config("--filters", what));
        };
        cnn.stages = vec![first.clone(); filters.len()];
    }
    for (stage, &filters) in cnn.stages.iter_mut().zip(filters) {
        // A bottleneck stays as narrow as it was against the stage; the stage's own check is for zeros and the absurd.
        let narrowed = |between: usize| (between.saturating_mul(filters) / stage.filters.max(1)).max(1);
        stage.bottleneck = stage.bottleneck.map(narrowed);
        stage.filters = filters;
    }
    Ok(())
}

fn set<T: Clone>(value: &mut T, custom: &Option<T>) {
    if let Some(custom) = custom {
        *value = custom.clone();
    }
}
