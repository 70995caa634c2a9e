//! Made-up inputs of every kind that a model takes, as its user gives them: pictures and rows, which go through the same decoding. They show
//! nothing of the data that it was trained on.

use std::fmt::Write;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::random::{Purpose, Random};
use crate::{ColumnKind, Error, InputSpec, Inputs, TableSpec, image};

/// Rows and columns of the pictures: not a model's, so that they have to be fitted.
const SIDES: [usize; 2] = [12, 10];
/// Columns of a table up to which rows are made up.
const MOST_COLUMNS: usize = 1000;

/// One input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Example {
    /// An image file: a plain-text portable pixmap (`P3`).
    Picture(String),
    /// The fields of a row, as many as the table trained on had columns; those of targets are empty.
    Row(Vec<String>),
}

impl Example {
    /// Three inputs for `input`, always the same: of pictures a coloured slope, noise, and a bright square on black; of rows one of the means and
    /// first categories, one far from them with the last categories, and one without any value. None for tables of more than 1,000 columns.
    pub fn all(input: &InputSpec) -> Vec<Self> {
        let [height, width] = SIDES;
        match input {
            InputSpec::Image(_) => {
                let mut random = Random::new(0, Purpose::Example, 0, 0);
                let square = |y: usize, x: usize| u8::from((3..8).contains(&y) && (3..8).contains(&x)) * 240;
                vec![
                    picture(|y, x| {
                        [255 * y / (height - 1), 255 * x / (width - 1), 25 * (x + y) / 2].map(|v| v.min(255) as u8)
                    }),
                    picture(|_, _| std::array::from_fn(|_| random.below(256) as u8)),
                    picture(|y, x| [square(y, x); 3]),
                ]
            }
            InputSpec::Table(spec) if spec.columns.len() <= MOST_COLUMNS => (0..3).map(|at| row(spec, at)).collect(),
            InputSpec::Table(_) => Vec::new(),
        }
    }

    /// What the network takes, by the functions that decode a user's files and rows.
    ///
    /// # Errors
    /// An example that isn't for `input`, or that isn't what it should be: it may come from a file.
    pub fn inputs(&self, input: &InputSpec) -> Result<Inputs, Error> {
        let name = Path::new("example");
        match (self, input) {
            (Self::Picture(text), InputSpec::Image(spec)) => {
                Ok(Inputs::Pixels(image::decode_bytes(text.as_bytes(), name, spec)?))
            }
            (Self::Row(fields), InputSpec::Table(spec)) => {
                let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
                Ok(Inputs::Floats(spec.encode(None, &fields).map_err(|error| error.at(name, 1))?))
            }
            (Self::Picture(_), _) => Err(Error::malformed(name, "kind", "a row of a table", "a picture")),
            (Self::Row(_), _) => Err(Error::malformed(name, "kind", "a picture", "a row of a table")),
        }
    }
}

fn picture(mut colour: impl FnMut(usize, usize) -> [u8; 3]) -> Example {
    let [height, width] = SIDES;
    let mut text = format!("P3\n{width} {height}\n255\n");
    for y in 0..height {
        for x in 0..width {
            let [red, green, blue] = colour(y, x);
            let end = if x + 1 == width { "\n" } else { " " };
            let _ = write!(text, "{red} {green} {blue}{end}");
        }
    }
    Example::Picture(text)
}

fn row(spec: &TableSpec, at: usize) -> Example {
    let width = spec.columns.iter().map(|column| column.position + 1).max().unwrap_or(0).max(spec.width);
    let mut fields = vec![String::new(); width];
    for column in &spec.columns {
        fields[column.position] = match (&column.kind, at) {
            (ColumnKind::Numeric { mean, .. }, 0) => mean.to_string(),
            (ColumnKind::Numeric { mean, std, .. }, 1) => (mean + 1.5 * std).to_string(),
            (ColumnKind::Categorical { categories }, 0) => categories.first().cloned().unwrap_or_default(),
            (ColumnKind::Categorical { categories }, 1) => categories.last().cloned().unwrap_or_default(),
            _ => String::new(),
        };
    }
    Example::Row(fields)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Column, Filter, Fit, ImageSpec, TargetColumn};

    fn pictures(channels: usize, side: usize) -> InputSpec {
        InputSpec::Image(ImageSpec {
            channels,
            height: side,
            width: side,
            fit: Fit::Crop,
            filter: Filter::Triangle,
            mean: vec![0.5; channels],
            std: vec![0.5; channels],
        })
    }

    #[test]
    fn pictures_fit_any_model_and_differ() {
        for (channels, side) in [(1, 8), (3, 32), (1, 1)] {
            let input = pictures(channels, side);
            let all: Vec<Inputs> = Example::all(&input).iter().map(|example| example.inputs(&input).unwrap()).collect();
            assert_eq!(all.len(), 3);
            for inputs in &all {
                let Inputs::Pixels(pixels) = inputs else { panic!("{inputs:?}") };
                assert_eq!(pixels.len(), input.len());
            }
            assert!(side == 1 || all[0] != all[1] && all[1] != all[2] && all[0] != all[2]);
        }
        assert_eq!(Example::all(&pictures(1, 8)), Example::all(&pictures(3, 32)), "always the same");
    }

    #[test]
    fn rows_have_means_and_categories_and_gaps_with_a_header_and_without_one() {
        let numeric = |mean| ColumnKind::Numeric { fill: 1.0, mean, std: 2.0, ranks: Vec::new(), indicator: true };
        let categorical = ColumnKind::Categorical { categories: vec!["a".into(), "b".into()] };
        let column = |name: &str, position, kind| Column { name: name.into(), position, kind };
        for header in [true, false] {
            let spec = TableSpec {
                columns: vec![column("x", 0, numeric(3.5)), column("c", 2, categorical.clone())],
                targets: vec![TargetColumn { name: "y".into(), position: 1 }],
                width: 3,
                header,
            };
            let input = InputSpec::Table(spec);
            let all: Vec<Inputs> = Example::all(&input).iter().map(|example| example.inputs(&input).unwrap()).collect();
            let expected = [[3.5, 0.0, 1.0, 0.0], [6.5, 0.0, 0.0, 1.0], [1.0, 1.0, 0.0, 0.0]];
            assert_eq!(all, expected.map(|features| Inputs::Floats(features.to_vec())));
        }
    }

    #[test]
    fn what_isnt_for_the_model_is_an_error() {
        let input = pictures(1, 8);
        assert!(Example::Row(vec!["1".into()]).inputs(&input).unwrap_err().to_string().contains("expected a picture"));
        assert!(Example::Picture("P3\n1000000 1000000\n255\n".into()).inputs(&input).is_err());
        assert!(Example::Picture("no image".into()).inputs(&input).is_err());
        let table = InputSpec::Table(TableSpec::default());
        assert!(Example::all(&input)[0].inputs(&table).unwrap_err().to_string().contains("expected a row"));
    }
}
