//! What the user chooses of an optimizer: its rule by name and the rule's constants. PyTorch's names, defaults and meaning, but for
//! Lion, which PyTorch lacks (there: the paper's). The learning rate is the schedule's; [`OptimizerConfig::default_lr`] only proposes one.

use serde::{Deserialize, Serialize};

/// An update rule and its constants. In a recipe: `[optimizer]` with `name = "adamw"`; what is left out has its default.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "lowercase")]
pub enum OptimizerConfig {
    /// Stochastic gradient descent, with or without momentum (`torch.optim.SGD`).
    Sgd(SgdConfig),
    /// Adam; its weight decay is added to the gradient (`torch.optim.Adam`).
    Adam(AdamConfig),
    /// Adam with decoupled weight decay (`torch.optim.AdamW`).
    AdamW(AdamWConfig),
    /// RMSprop (`torch.optim.RMSprop`).
    RmsProp(RmsPropConfig),
    /// Lion (Chen et al., "Symbolic discovery of optimization algorithms", 2023).
    Lion(LionConfig),
}

/// `torch.optim.SGD`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SgdConfig {
    /// How much of the last step goes into the next, in `[0, 1)`; 0 for plain gradient descent.
    pub momentum: f64,
    /// How much of the gradient doesn't enter the momentum, in `[0, 1]`.
    pub dampening: f64,
    /// Nesterov's momentum; needs `momentum` above and `dampening` of zero.
    pub nesterov: bool,
    /// L2 penalty: `weight_decay * weight` is added to the gradient.
    pub weight_decay: f64,
}

/// `torch.optim.Adam` (Kingma and Ba, 2015).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AdamConfig {
    /// Decay of the gradient's mean, in `[0, 1)`.
    pub beta1: f64,
    /// Decay of the squared gradient's mean, in `[0, 1)`.
    pub beta2: f64,
    /// Added to the denominator; above zero.
    pub eps: f64,
    /// L2 penalty: `weight_decay * weight` is added to the gradient.
    pub weight_decay: f64,
}

/// `torch.optim.AdamW` (Loshchilov and Hutter, 2019).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AdamWConfig {
    /// Decay of the gradient's mean, in `[0, 1)`.
    pub beta1: f64,
    /// Decay of the squared gradient's mean, in `[0, 1)`.
    pub beta2: f64,
    /// Added to the denominator; above zero.
    pub eps: f64,
    /// Each step multiplies the weight by `1 - lr * weight_decay`.
    pub weight_decay: f64,
}

/// `torch.optim.RMSprop` (Hinton's lecture 6e; centred as in Graves, 2013).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RmsPropConfig {
    /// Decay of the squared gradient's mean, in `[0, 1)`.
    pub alpha: f64,
    /// Added to the denominator; above zero.
    pub eps: f64,
    /// How much of the last step goes into the next, in `[0, 1)`.
    pub momentum: f64,
    /// Whether to divide by the gradient's standard deviation rather than its root mean square.
    pub centered: bool,
    /// L2 penalty: `weight_decay * weight` is added to the gradient.
    pub weight_decay: f64,
}

/// Lion: steps by the sign of an average, so a learning rate of a third to a tenth of AdamW's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LionConfig {
    /// Weight of the average against the gradient in the step, in `[0, 1)`.
    pub beta1: f64,
    /// Decay of the gradient's mean, in `[0, 1)`.
    pub beta2: f64,
    /// Each step multiplies the weight by `1 - lr * weight_decay`.
    pub weight_decay: f64,
}

impl Default for SgdConfig {
    fn default() -> Self {
        Self { momentum: 0.0, dampening: 0.0, nesterov: false, weight_decay: 0.0 }
    }
}

impl Default for AdamConfig {
    fn default() -> Self {
        Self { beta1: 0.9, beta2: 0.999, eps: 1e-8, weight_decay: 0.0 }
    }
}

impl Default for AdamWConfig {
    fn default() -> Self {
        Self { beta1: 0.9, beta2: 0.999, eps: 1e-8, weight_decay: 0.01 }
    }
}

impl Default for RmsPropConfig {
    fn default() -> Self {
        Self { alpha: 0.99, eps: 1e-8, momentum: 0.0, centered: false, weight_decay: 0.0 }
    }
}

impl Default for LionConfig {
    fn default() -> Self {
        Self { beta1: 0.9, beta2: 0.99, weight_decay: 0.0 }
    }
}

impl Default for OptimizerConfig {
    /// AdamW with PyTorch's constants.
    fn default() -> Self {
        Self::AdamW(AdamWConfig::default())
    }
}

impl OptimizerConfig {
    /// The names that [`OptimizerConfig::named`] knows, as in recipes and `--optimizer`.
    pub const NAMES: &[&str] = &["sgd", "adam", "adamw", "rmsprop", "lion"];

    /// The rule of that name with its defaults.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "sgd" => Self::Sgd(SgdConfig::default()),
            "adam" => Self::Adam(AdamConfig::default()),
            "adamw" => Self::AdamW(AdamWConfig::default()),
            "rmsprop" => Self::RmsProp(RmsPropConfig::default()),
            "lion" => Self::Lion(LionConfig::default()),
            _ => return None,
        })
    }

    /// Its name, one of [`OptimizerConfig::NAMES`].
    pub fn name(&self) -> &'static str {
        match self {
            Self::Sgd(_) => "sgd",
            Self::Adam(_) => "adam",
            Self::AdamW(_) => "adamw",
            Self::RmsProp(_) => "rmsprop",
            Self::Lion(_) => "lion",
        }
    }

    /// A learning rate to begin with where the user names none: PyTorch's default for the Adams and RMSprop; for SGD, whose default
    /// of 1e-3 is too timid for networks with normalisation, the usual 0.1 (0.01 without momentum); for Lion the paper's 1e-4.
    pub fn default_lr(&self) -> f64 {
        match self {
            Self::Sgd(config) if config.momentum > 0.0 => 0.1,
            Self::Sgd(_) | Self::RmsProp(_) => 0.01,
            Self::Adam(_) | Self::AdamW(_) => 1e-3,
            Self::Lion(_) => 1e-4,
        }
    }

    /// The weight decay, whatever the rule does with it.
    pub fn weight_decay(&self) -> f64 {
        match self {
            Self::Sgd(config) => config.weight_decay,
            Self::Adam(config) => config.weight_decay,
            Self::AdamW(config) => config.weight_decay,
            Self::RmsProp(config) => config.weight_decay,
            Self::Lion(config) => config.weight_decay,
        }
    }

    /// The same rule with another weight decay (`--weight-decay`).
    pub fn with_weight_decay(mut self, weight_decay: f64) -> Self {
        *match &mut self {
            Self::Sgd(config) => &mut config.weight_decay,
            Self::Adam(config) => &mut config.weight_decay,
            Self::AdamW(config) => &mut config.weight_decay,
            Self::RmsProp(config) => &mut config.weight_decay,
            Self::Lion(config) => &mut config.weight_decay,
        } = weight_decay;
        self
    }

    /// The same rule with another momentum (`--momentum`): SGD's and RMSprop's own, the others' `beta1`, which plays its part.
    pub fn with_momentum(mut self, momentum: f64) -> Self {
        *match &mut self {
            Self::Sgd(config) => &mut config.momentum,
            Self::RmsProp(config) => &mut config.momentum,
            Self::Adam(config) => &mut config.beta1,
            Self::AdamW(config) => &mut config.beta1,
            Self::Lion(config) => &mut config.beta1,
        } = momentum;
        self
    }

    /// Whether every constant is in its range.
    ///
    /// # Errors
    /// One line that names the first constant that isn't, and its range.
    pub fn check(&self) -> Result<(), String> {
        let unit = |name: &str, value: f64| {
            if (0.0..1.0).contains(&value) {
                Ok(())
            } else {
                Err(format!("{name} is {value}, expected 0 <= {name} < 1"))
            }
        };
        let positive = |name: &str, value: f64| {
            if value > 0.0 && value.is_finite() {
                Ok(())
            } else {
                Err(format!("{name} is {value}, expected a number above 0"))
            }
        };
        let decay = self.weight_decay();
        if !(decay >= 0.0 && decay.is_finite()) {
            return Err(format!("weight_decay is {decay}, expected 0 or a number above"));
        }
        match self {
            Self::Sgd(config) => {
                unit("momentum", config.momentum)?;
                if !(0.0..=1.0).contains(&config.dampening) {
                    return Err(format!("dampening is {}, expected 0 <= dampening <= 1", config.dampening));
                }
                if config.nesterov && (config.momentum == 0.0 || config.dampening != 0.0) {
                    return Err("nesterov needs a momentum above 0 and a dampening of 0".into());
                }
                Ok(())
            }
            Self::Adam(AdamConfig { beta1, beta2, eps, .. }) | Self::AdamW(AdamWConfig { beta1, beta2, eps, .. }) => {
                unit("beta1", *beta1)?;
                unit("beta2", *beta2)?;
                positive("eps", *eps)
            }
            Self::RmsProp(config) => {
                unit("alpha", config.alpha)?;
                unit("momentum", config.momentum)?;
                positive("eps", config.eps)
            }
            Self::Lion(config) => {
                unit("beta1", config.beta1)?;
                unit("beta2", config.beta2)
            }
        }
    }
}
