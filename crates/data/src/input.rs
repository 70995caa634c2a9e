//! The preprocessing recipe: what a model expects as input and how a file becomes that. Computed once from the training split,
//! stored with the model, used by training and inference alike. Decoding and resizing themselves are in `image`, tables in `table`.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

/// Columns that a table may have.
const MOST_COLUMNS: usize = 1 << 20;

/// What a model expects as input.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum InputSpec {
    /// A picture.
    Image(ImageSpec),
    /// A row of a table.
    Table(TableSpec),
}

/// How a picture becomes numbers: decode, convert to `channels`, resize to `height` x `width`, divide by 255, then at the head of
/// the model subtract `mean` and divide by `std`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageSpec {
    /// 1 (gray) or 3 (RGB).
    pub channels: usize,
    /// Rows of pixels.
    pub height: usize,
    /// Columns of pixels.
    pub width: usize,
    /// What happens to pictures of another aspect ratio.
    pub fit: Fit,
    /// The resampling filter, where sizes differ.
    pub filter: Filter,
    /// Mean of each channel over the training split, of values in 0..=1.
    pub mean: Vec<f32>,
    /// Standard deviation of each channel over the training split, of values in 0..=1; never zero.
    pub std: Vec<f32>,
}

/// What happens to a picture whose aspect ratio isn't the model's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fit {
    /// Scale the shorter side to fit, then cut the middle out.
    #[default]
    Crop,
    /// Scale both sides, whatever that does to the aspect ratio.
    Stretch,
    /// Scale the longer side to fit, then fill up with black.
    Pad,
}

/// The resampling filter of a resize. All of them widen with the scale when shrinking, so they don't alias.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Filter {
    /// The nearest pixel.
    Nearest,
    /// Bilinear.
    #[default]
    Triangle,
    /// Bicubic.
    CatmullRom,
    /// Lanczos with window 3.
    Lanczos3,
}

/// How a row becomes numbers: each column by its kind, in order; missing numbers become `fill`. At the head of the model `mean` is
/// subtracted and divided by `std`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableSpec {
    /// The input columns, in the order of the features they become.
    pub columns: Vec<Column>,
    /// The columns that the model predicts, which rows to be predicted may lack.
    #[serde(default)]
    pub targets: Vec<TargetColumn>,
    /// Columns of the table that the model was trained on, those left out included; rows without a header must have as many, or as
    /// many less the targets.
    #[serde(default)]
    pub width: usize,
    /// Whether that table named its columns in a header.
    #[serde(default)]
    pub header: bool,
}

/// A target column of the table that a model was trained on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TargetColumn {
    /// Its name in the header, or `column 3` (counted from 1) in a table without one.
    pub name: String,
    /// Its position in the file, counted from 0.
    pub position: usize,
}

/// One input column of a table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Column {
    /// Its name in the header, or `column 3` (counted from 1) in a table without one.
    pub name: String,
    /// Its position in the file that the model was trained on, counted from 0; decides in tables without a header.
    pub position: usize,
    /// How its fields become features.
    pub kind: ColumnKind,
}

/// How the fields of a column become features.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase", deny_unknown_fields)]
pub enum ColumnKind {
    /// The number itself; its rank, 0 to 1, among the training numbers; and 0 or 1, whether it was missing: one to three features.
    Numeric {
        /// What stands in for a missing number: the median of the training split.
        fill: f32,
        /// Mean over the training split.
        mean: f32,
        /// Standard deviation over the training split; never zero.
        std: f32,
        /// Quantiles of the training split in equal steps from the least to the greatest, which give a number its rank by
        /// interpolation; empty for no such feature.
        #[serde(default)]
        ranks: Vec<f32>,
        /// Whether a feature tells missing numbers from present ones: where at least 5 training rows missed them.
        indicator: bool,
    },
    /// One feature for each category (one-hot), all zero for a missing or unknown one.
    Categorical {
        /// The categories seen in the training split, in order of their name.
        categories: Vec<String>,
    },
}

impl InputSpec {
    /// Shape of one sample, `[channels, height, width]`; a row of a table is one pixel with a channel for each feature.
    pub fn shape(&self) -> [usize; 3] {
        match self {
            Self::Image(image) => [image.channels, image.height, image.width],
            Self::Table(table) => [table.columns.iter().map(Column::features).sum(), 1, 1],
        }
    }

    /// Numbers in one sample.
    pub fn len(&self) -> usize {
        self.shape().iter().product()
    }

    /// Whether a sample has no numbers at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether a recipe that comes from a file can be followed: columns and categories that are named once and stand somewhere, ranks in
    /// order.
    ///
    /// # Errors
    /// One line about the first thing that makes no sense.
    pub fn check(&self) -> Result<(), String> {
        match self {
            Self::Image(_) => Ok(()),
            Self::Table(table) => table.check(),
        }
    }

    /// What to subtract from each channel and then divide by, as (mean, std), each of `shape()[0]` values.
    pub fn normalisation(&self) -> (Vec<f32>, Vec<f32>) {
        match self {
            Self::Image(image) => (image.mean.clone(), image.std.clone()),
            Self::Table(table) => table.columns.iter().flat_map(Column::normalisation).unzip(),
        }
    }
}

impl TableSpec {
    fn check(&self) -> Result<(), String> {
        let columns = self.columns.iter().map(|column| (&column.name, column.position));
        let all = || columns.clone().chain(self.targets.iter().map(|target| (&target.name, target.position)));
        let (mut names, mut positions) = (HashSet::new(), HashSet::new());
        for (name, position) in all() {
            if position > MOST_COLUMNS || self.width > 0 && position >= self.width {
                let width = if self.width > 0 { self.width } else { MOST_COLUMNS };
                return Err(format!("column `{name}`: expected a position below {width}, found {position}"));
            }
            if !names.insert(name) {
                return Err(format!("column `{name}`: expected every name once, found it twice"));
            }
            if !positions.insert(position) {
                return Err(format!("column `{name}`: expected a position of its own, found {position} again"));
            }
        }
        self.columns.iter().try_for_each(Column::check)
    }
}

impl Column {
    fn check(&self) -> Result<(), String> {
        let name = &self.name;
        match &self.kind {
            ColumnKind::Numeric { fill, ranks, .. } => {
                let ascend = ranks.is_sorted() && ranks.iter().all(|rank| rank.is_finite()) && ranks.len() != 1;
                if !fill.is_finite() || !ascend {
                    return Err(format!("column `{name}`: expected a finite fill, and ranks in ascending order"));
                }
            }
            ColumnKind::Categorical { categories } => {
                let mut seen = HashSet::new();
                if let Some(twice) = categories.iter().find(|category| !seen.insert(*category)) {
                    return Err(format!("column `{name}`: expected every category once, found `{twice}` twice"));
                }
            }
        }
        Ok(())
    }

    /// How many features the column becomes.
    pub fn features(&self) -> usize {
        match &self.kind {
            ColumnKind::Numeric { ranks, indicator, .. } => {
                1 + usize::from(!ranks.is_empty()) + usize::from(*indicator)
            }
            ColumnKind::Categorical { categories } => categories.len(),
        }
    }

    fn normalisation(&self) -> Vec<(f32, f32)> {
        match &self.kind {
            ColumnKind::Numeric { mean, std, ranks, indicator, .. } => {
                let mut pairs = vec![(*mean, *std)];
                // Mean and standard deviation of the uniform distribution over 0..=1.
                pairs.extend((!ranks.is_empty()).then_some((0.5, (1.0_f32 / 12.0).sqrt())));
                pairs.extend(indicator.then_some((0.0, 1.0)));
                pairs
            }
            ColumnKind::Categorical { categories } => vec![(0.0, 1.0); categories.len()],
        }
    }
}
