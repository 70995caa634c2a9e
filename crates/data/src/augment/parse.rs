//! How a user names augmentation: `none`, `light`, `strong`, or a list of operations with amounts. Owns names, defaults, ranges and
//! presets.

use std::fmt;

use super::{Augment, Fill, Operation};
use crate::{Error, InputSpec, Targets};

const PRESETS: [&str; 3] = ["none", "light", "strong"];

impl Operation {
    /// Its name in a list.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Flip => "flip",
            Self::Vflip => "vflip",
            Self::Crop => "crop",
            Self::Rotate => "rotate",
            Self::Shift => "shift",
            Self::Scale => "scale",
            Self::Jitter => "jitter",
            Self::Erase => "erase",
            Self::Mixup => "mixup",
            Self::Cutmix => "cutmix",
        }
    }

    /// The amount of an operation that is named without one, the largest one, and the unit; `side` is the shorter side of the images.
    fn amounts(self, side: usize) -> (f32, f32, &'static str) {
        let half = (side / 2) as f32;
        match self {
            Self::Flip | Self::Vflip => (0.5, 1.0, "a probability"),
            Self::Crop => (((side / 8) as f32).max(1.0).min(half), half, "pixels"),
            Self::Rotate => (10.0, 180.0, "degrees"),
            Self::Shift => (0.1, 0.5, "a part of the side"),
            Self::Scale => (0.1, 0.5, "a factor's distance from 1"),
            Self::Jitter => (0.2, 1.0, "a factor's distance from 1"),
            Self::Erase => (0.25, 1.0, "a probability"),
            Self::Mixup => (0.2, 100.0, "alpha of a Beta distribution"),
            Self::Cutmix => (1.0, 100.0, "alpha of a Beta distribution"),
        }
    }

    /// States in words what the operation does.
    pub(super) fn state(self, amount: f32, fill: Fill, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flip => write!(f, "flip left-right with probability {amount}"),
            Self::Vflip => write!(f, "flip top-bottom with probability {amount}"),
            Self::Crop => write!(f, "pad and crop by up to {amount} pixels"),
            Self::Rotate => write!(f, "rotate by up to {amount} degrees"),
            Self::Shift => write!(f, "shift by up to {amount} of each side"),
            Self::Scale => write!(f, "scale by {} to {}", 1.0 - amount, 1.0 + amount),
            Self::Jitter if fill == Fill::Border => write!(f, "jitter brightness and contrast by up to {amount}"),
            Self::Jitter => write!(f, "jitter brightness, contrast and saturation by up to {amount}"),
            Self::Erase => write!(f, "erase 2 to 33 % of the area to the mean with probability {amount}"),
            Self::Mixup => write!(f, "mixup with alpha {amount}"),
            Self::Cutmix => write!(f, "cutmix with alpha {amount}"),
        }
    }
}

impl Augment {
    /// Reads `none`, `light`, `strong` or a list, such as `flip,crop:4,rotate:10`, for the inputs and targets of a data set. A preset may
    /// open a list; what follows adds to it or replaces its amounts.
    ///
    /// | name | amount | without one | range |
    /// |---|---|---|---|
    /// | `flip`, `vflip` | probability of mirroring left-right, top-bottom | 0.5 | 0 to 1 |
    /// | `crop` | whole pixels of padding on each side, then a random cut | an eighth of the shorter side | 0 to half of it |
    /// | `rotate` | largest angle in degrees, either way | 10 | 0 to 180 |
    /// | `shift` | largest move as a part of each side, either way | 0.1 | 0 to 0.5 |
    /// | `scale` | largest distance of the zoom factor from 1 | 0.1 | 0 to 0.5 |
    /// | `jitter` | largest distance from 1 of the factors of brightness, contrast and (RGB) saturation | 0.2 | 0 to 1 |
    /// | `erase` | probability of painting a rectangle over (Zhong et al., 2017): 2 to 33 % of the area, aspect 0.3 to 3.3, the mean colour | 0.25 | 0 to 1 |
    /// | `mixup` | alpha of the Beta distribution of the weights (Zhang et al., 2017) | 0.2 | 0 to 100 |
    /// | `cutmix` | alpha of the Beta distribution of the areas (Yun et al., 2019) | 1 | 0 to 100 |
    ///
    /// The presets depend on the input. Gray pictures are often characters or measurements, which have an orientation: `light` is
    /// `rotate:10,shift:0.05,scale:0.1` and `strong` is `rotate:15,shift:0.1,scale:0.15,erase:0.25`. For RGB photos `light` is `flip,crop`
    /// and `strong` is `flip,crop,rotate:15,scale:0.2,jitter:0.3,erase:0.25`. Where the targets are numbers, which may be positions or
    /// angles, presets leave geometry out: `jitter:0.1` and `jitter:0.3,erase:0.25`. Tables have no presets but `none`.
    ///
    /// # Errors
    /// An unknown name (with the nearest one), an amount out of its range, a name twice, an operation that makes no sense for the data.
    pub fn parse(text: &str, input: &InputSpec, targets: &Targets) -> Result<Self, Error> {
        let [channels, height, width] = input.shape();
        let side = height.min(width);
        let fill = if channels == 3 { Fill::Mirror } else { Fill::Border };
        let mut augment = Self { fill, ..Self::NONE };
        let mut seen: Vec<&str> = Vec::new();
        for (i, item) in text.split(',').map(str::trim).enumerate() {
            let (name, amount) = item.split_once(':').map_or((item, None), |(name, amount)| (name, Some(amount)));
            if seen.contains(&name) {
                return Err(refused(format!("`{name}` stands twice in `{text}`; name it once")));
            }
            seen.push(name);
            if let Some(preset) = PRESETS.iter().find(|preset| **preset == name) {
                if i > 0 || amount.is_some() {
                    return Err(refused(format!(
                        "`{preset}` takes no amount and comes first in a list, found `{text}`"
                    )));
                }
                augment.preset(preset, input, targets, side)?;
            } else {
                let operation = operation(name)?;
                augment.amounts[operation as usize] = self::amount(operation, amount, side)?;
            }
        }
        augment.check(input, targets)?;
        Ok(augment)
    }

    fn preset(&mut self, name: &str, input: &InputSpec, targets: &Targets, side: usize) -> Result<(), Error> {
        let strong = name == "strong";
        let list: &[&str] = match (input, targets) {
            _ if name == "none" => &[],
            (InputSpec::Table(_), _) => {
                return Err(refused(format!("`{name}` is for images; tables take `none` or `mixup`")));
            }
            (_, Targets::Values { .. }) if strong => &["jitter:0.3", "erase:0.25"],
            (_, Targets::Values { .. }) => &["jitter:0.1"],
            (InputSpec::Image(image), _) if image.channels == 3 && strong => {
                &["flip", "crop", "rotate:15", "scale:0.2", "jitter:0.3", "erase:0.25"]
            }
            (InputSpec::Image(image), _) if image.channels == 3 => &["flip", "crop"],
            _ if strong => &["rotate:15", "shift:0.1", "scale:0.15", "erase:0.25"],
            _ => &["rotate:10", "shift:0.05", "scale:0.1"],
        };
        for item in list {
            let (name, amount) = item.split_once(':').map_or((*item, None), |(name, amount)| (name, Some(amount)));
            let operation = operation(name)?;
            self.amounts[operation as usize] = self::amount(operation, amount, side)?;
        }
        Ok(())
    }
}

fn operation(name: &str) -> Result<Operation, Error> {
    if let Some(operation) = Operation::ALL.into_iter().find(|operation| operation.name() == name) {
        return Ok(operation);
    }
    let names = || PRESETS.into_iter().chain(Operation::ALL.map(Operation::name));
    let nearest = names().map(|known| (strsim::damerau_levenshtein(name, known), known)).min();
    let meant = nearest.filter(|(distance, _)| *distance <= 2).map(|(_, known)| format!("did you mean `{known}`? "));
    let known = names().collect::<Vec<_>>().join(", ");
    Err(refused(format!("unknown augmentation `{name}`; {}there are {known}", meant.unwrap_or_default())))
}

fn amount(operation: Operation, text: Option<&str>, side: usize) -> Result<f32, Error> {
    let (default, most, unit) = operation.amounts(side);
    let Some(text) = text else { return Ok(default) };
    let whole = operation == Operation::Crop;
    match text.trim().parse::<f32>() {
        Ok(amount) if (0.0..=most).contains(&amount) && !(whole && amount.fract() != 0.0) => Ok(amount),
        _ => {
            let number = if whole { "a whole number" } else { "a number" };
            Err(refused(format!("`{}:{text}`: expected {number} from 0 to {most} ({unit})", operation.name())))
        }
    }
}

fn refused(what: String) -> Error {
    Error::option("--augment", what)
}
