//! What the user chooses of a schedule. On disk it is one flat table, `[schedule]` with `name = "cosine"`, where a key that the kind
//! doesn't have is an error; in memory an enum, where such a key cannot be.

use serde::{Deserialize, Serialize};

/// How the learning rate goes: a linear warm-up, then a course.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Flat", into = "Flat")]
pub struct ScheduleConfig {
    /// The course after the warm-up.
    pub kind: ScheduleKind,
    /// Steps of warm-up: step `t` of `w` has `(t + 1) / (w + 1)` of the rate.
    pub warmup_steps: u64,
    /// Epochs of warm-up, whole or not; added to `warmup_steps`.
    pub warmup_epochs: f64,
}

/// The course of the learning rate after the warm-up.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum ScheduleKind {
    /// The same rate throughout.
    #[default]
    Constant,
    /// Straight down to `end` times the rate (`LinearLR`).
    Linear {
        /// What is left at the end, as a part of the rate.
        end: f64,
    },
    /// Multiplied by `gamma` every so many epochs (`StepLR`).
    Step {
        /// Epochs between two drops.
        every: u64,
        /// The factor of a drop.
        gamma: f64,
    },
    /// Half a cosine down to `min_lr` (`CosineAnnealingLR`).
    Cosine {
        /// The rate at the end.
        min_lr: f64,
    },
    /// Up to the rate, then down to next to nothing, by cosines (`OneCycleLR`; Smith and Topin, "Super-convergence", 2018). The momentum
    /// stays as it is.
    OneCycle {
        /// The part of the steps that goes up.
        pct_start: f64,
        /// The first rate is the highest divided by this.
        div_factor: f64,
        /// The last rate is the first divided by this.
        final_div_factor: f64,
    },
    /// `(1 - done)` to the power of `power` (`PolynomialLR`).
    Polynomial {
        /// The exponent.
        power: f64,
    },
    /// Multiplied by `factor` when the validation metric hasn't got better for more than `patience` epochs (`ReduceLROnPlateau`).
    Plateau {
        /// The factor of a reduction.
        factor: f64,
        /// Epochs without betterment that are borne.
        patience: u64,
        /// How much better it must be, as a part of the best value.
        threshold: f64,
        /// The rate below which it doesn't go.
        min_lr: f64,
    },
}

impl ScheduleConfig {
    /// The names that [`ScheduleConfig::named`] knows, as in recipes and `--schedule`.
    pub const NAMES: &[&str] = &["constant", "linear", "step", "cosine", "one_cycle", "polynomial", "plateau"];

    /// The schedule of that name, with PyTorch's defaults where it has some; `one-cycle` and `onecycle` are understood too.
    pub fn named(name: &str) -> Option<Self> {
        Self::try_from(Flat { name: name.replace('-', "_"), ..Flat::default() }).ok()
    }

    /// Its name, one of [`ScheduleConfig::NAMES`].
    pub fn name(&self) -> &'static str {
        match self.kind {
            ScheduleKind::Constant => "constant",
            ScheduleKind::Linear { .. } => "linear",
            ScheduleKind::Step { .. } => "step",
            ScheduleKind::Cosine { .. } => "cosine",
            ScheduleKind::OneCycle { .. } => "one_cycle",
            ScheduleKind::Polynomial { .. } => "polynomial",
            ScheduleKind::Plateau { .. } => "plateau",
        }
    }

    /// Whether every number is in its range.
    ///
    /// # Errors
    /// One line that names the first that isn't, and its range.
    pub fn check(&self) -> Result<(), String> {
        let within = |name: &str, value: f64, low: f64, high: f64| {
            let inside = (low..=high).contains(&value) && value.is_finite();
            if inside { Ok(()) } else { Err(format!("{name} is {value}, expected {low} to {high}")) }
        };
        let most = f64::MAX;
        within("warmup_epochs", self.warmup_epochs, 0.0, 1e9)?;
        match self.kind {
            ScheduleKind::Constant => Ok(()),
            ScheduleKind::Linear { end } => within("end", end, 0.0, 1.0),
            ScheduleKind::Step { every: 0, .. } => Err("every is 0, expected a number of epochs of 1 or more".into()),
            ScheduleKind::Step { gamma, .. } => within("gamma", gamma, 0.0, 1.0),
            ScheduleKind::Cosine { min_lr } => within("min_lr", min_lr, 0.0, most),
            ScheduleKind::OneCycle { pct_start, div_factor, final_div_factor } => {
                within("pct_start", pct_start, 0.0, 1.0)?;
                within("div_factor", div_factor, 1.0, most)?;
                within("final_div_factor", final_div_factor, 1.0, most)
            }
            ScheduleKind::Polynomial { power } => within("power", power, 0.0, most),
            ScheduleKind::Plateau { factor, threshold, min_lr, .. } => {
                within("factor", factor, 0.0, 1.0)?;
                within("threshold", threshold, 0.0, 1.0)?;
                within("min_lr", min_lr, 0.0, most)
            }
        }
    }
}

/// The table on disk: every key of every kind.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Flat {
    name: String,
    #[serde(default, skip_serializing_if = "is_zero")]
    warmup_steps: u64,
    #[serde(default, skip_serializing_if = "is_nothing")]
    warmup_epochs: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    end: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    every: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    gamma: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    min_lr: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pct_start: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    div_factor: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    final_div_factor: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    power: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    factor: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    patience: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    threshold: Option<f64>,
}

fn is_zero(value: &u64) -> bool {
    *value == 0
}

fn is_nothing(value: &f64) -> bool {
    *value == 0.0
}

impl Flat {
    /// The first key that is set and isn't among `own`, the keys of the kind.
    fn stray(&self, own: &[&str]) -> Option<&'static str> {
        let set = [
            ("end", self.end.is_some()),
            ("every", self.every.is_some()),
            ("gamma", self.gamma.is_some()),
            ("min_lr", self.min_lr.is_some()),
            ("pct_start", self.pct_start.is_some()),
            ("div_factor", self.div_factor.is_some()),
            ("final_div_factor", self.final_div_factor.is_some()),
            ("power", self.power.is_some()),
            ("factor", self.factor.is_some()),
            ("patience", self.patience.is_some()),
            ("threshold", self.threshold.is_some()),
        ];
        set.into_iter().find(|(key, set)| *set && !own.contains(key)).map(|(key, _)| key)
    }
}

impl TryFrom<Flat> for ScheduleConfig {
    type Error = String;

    fn try_from(flat: Flat) -> Result<Self, String> {
        let (kind, own): (_, &[&str]) = match flat.name.as_str() {
            "constant" => (ScheduleKind::Constant, &[]),
            "linear" => (ScheduleKind::Linear { end: flat.end.unwrap_or(0.01) }, &["end"]),
            "step" => {
                let (every, gamma) = (flat.every.unwrap_or(30), flat.gamma.unwrap_or(0.1));
                (ScheduleKind::Step { every, gamma }, &["every", "gamma"])
            }
            "cosine" => (ScheduleKind::Cosine { min_lr: flat.min_lr.unwrap_or(0.0) }, &["min_lr"]),
            "one_cycle" | "onecycle" => {
                let pct_start = flat.pct_start.unwrap_or(0.3);
                let div_factor = flat.div_factor.unwrap_or(25.0);
                let final_div_factor = flat.final_div_factor.unwrap_or(1e4);
                let kind = ScheduleKind::OneCycle { pct_start, div_factor, final_div_factor };
                (kind, &["pct_start", "div_factor", "final_div_factor"])
            }
            "polynomial" => (ScheduleKind::Polynomial { power: flat.power.unwrap_or(1.0) }, &["power"]),
            "plateau" => {
                let (factor, patience) = (flat.factor.unwrap_or(0.1), flat.patience.unwrap_or(10));
                let (threshold, min_lr) = (flat.threshold.unwrap_or(1e-4), flat.min_lr.unwrap_or(0.0));
                let kind = ScheduleKind::Plateau { factor, patience, threshold, min_lr };
                (kind, &["factor", "patience", "threshold", "min_lr"])
            }
            other => return Err(format!("schedule `{other}`: expected one of {}", Self::NAMES.join(", "))),
        };
        if let Some(key) = flat.stray(own) {
            let own = if own.is_empty() { "none".to_owned() } else { own.join(", ") };
            return Err(format!("schedule `{}` has no `{key}`; its own keys: {own}", flat.name));
        }
        Ok(Self { kind, warmup_steps: flat.warmup_steps, warmup_epochs: flat.warmup_epochs })
    }
}

impl From<ScheduleConfig> for Flat {
    fn from(config: ScheduleConfig) -> Self {
        let (warmup_steps, warmup_epochs) = (config.warmup_steps, config.warmup_epochs);
        let mut flat = Self { name: config.name().into(), warmup_steps, warmup_epochs, ..Self::default() };
        match config.kind {
            ScheduleKind::Constant => {}
            ScheduleKind::Linear { end } => flat.end = Some(end),
            ScheduleKind::Step { every, gamma } => (flat.every, flat.gamma) = (Some(every), Some(gamma)),
            ScheduleKind::Cosine { min_lr } => flat.min_lr = Some(min_lr),
            ScheduleKind::OneCycle { pct_start, div_factor, final_div_factor } => {
                flat.pct_start = Some(pct_start);
                flat.div_factor = Some(div_factor);
                flat.final_div_factor = Some(final_div_factor);
            }
            ScheduleKind::Polynomial { power } => flat.power = Some(power),
            ScheduleKind::Plateau { factor, patience, threshold, min_lr } => {
                (flat.factor, flat.patience) = (Some(factor), Some(patience));
                (flat.threshold, flat.min_lr) = (Some(threshold), Some(min_lr));
            }
        }
        flat
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        for name in ScheduleConfig::NAMES {
            let config = ScheduleConfig { warmup_steps: 3, warmup_epochs: 0.5, ..ScheduleConfig::named(name).unwrap() };
            config.check().unwrap();
            assert_eq!(config.name(), *name);
            let text = toml::to_string(&config).unwrap();
            assert_eq!(toml::from_str::<ScheduleConfig>(&text).unwrap(), config, "{text}");
        }
    }

    #[test]
    fn a_key_of_another_kind_is_refused_and_an_unknown_one_too() {
        let error = |text| toml::from_str::<ScheduleConfig>(text).unwrap_err().to_string();
        assert!(
            error("name = 'cosine'\ngamma = 0.1").contains("schedule `cosine` has no `gamma`; its own keys: min_lr")
        );
        assert!(error("name = 'cosine'\nminlr = 0.1").contains("unknown field `minlr`"));
        assert!(error("name = 'cosinus'").contains("expected one of constant, linear"));
    }

    #[test]
    fn numbers_out_of_range_are_named() {
        let check = |text| toml::from_str::<ScheduleConfig>(text).unwrap().check().unwrap_err();
        assert_eq!(check("name = 'linear'\nend = 2.0"), "end is 2, expected 0 to 1");
        assert_eq!(check("name = 'cosine'\nmin_lr = nan"), format!("min_lr is NaN, expected 0 to {}", f64::MAX));
        assert!(check("name = 'constant'\nwarmup_epochs = -1.0").starts_with("warmup_epochs is -1"));
        assert!(check("name = 'step'\nevery = 0").starts_with("every is 0"));
    }
}
