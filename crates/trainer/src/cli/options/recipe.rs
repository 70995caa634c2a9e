//! Options from recipes: files of people's and those that runs keep.

use std::path::Path;

use anyhow::{Context, Result};

use super::words::{line_of, not_toml, plain};
use super::{Batch, Choice, Options};
use crate::cli::failure::{Failure, code};

/// Bytes that a recipe has at most.
const MOST: u64 = 1 << 24;

impl Options {
    /// Reads a recipe (or an `args.toml`, which is one).
    pub(crate) fn from_recipe(path: &Path) -> Result<Self> {
        let options = Self::from_recipe_with_ranges(path)?;
        match options.tune {
            None => Ok(options),
            Some(_) => {
                let advice = "take them out, or train the best.toml that it leaves";
                let what = format!("[tune] has ranges, which are for `trainer tune`; {advice}");
                Err(Failure::usage(anyhow::anyhow!("recipe `{}`: {what}", path.display())))
            }
        }
    }

    /// The same, with its ranges under `[tune]`.
    pub(crate) fn from_recipe_with_ranges(path: &Path) -> Result<Self> {
        let text = data::open_regular(path, MOST)
            .and_then(std::io::read_to_string)
            .with_context(|| format!("cannot read the recipe `{}`", path.display()))
            .map_err(Failure::usage)?;
        Self::parse(&text, &path.display().to_string())
    }

    /// Reads the `args.toml` of a run, which the trainer wrote whole: what is wrong with it is wrong with the run's folder.
    pub(crate) fn from_run(path: &Path) -> Result<Self> {
        let damaged = |what: String| Failure::with(code::MODEL, anyhow::anyhow!(what));
        let options = Self::from_recipe(path).map_err(|error| damaged(error.to_string()))?;
        let keys = [
            ("data", options.data.is_some()),
            ("model", matches!(options.model, Some(Choice::Table(_)))),
            ("epochs", options.epochs.is_some()),
            ("batch", matches!(options.batch, Some(Batch::Size(_)))),
        ];
        match keys.iter().find(|(_, there)| !there) {
            Some((key, _)) => Err(damaged(format!(
                "`{}` is not what the trainer wrote: it lacks `{key}`; take it from a copy, or train again",
                path.display()
            ))),
            None => Ok(options),
        }
    }

    /// Parses a recipe's text; `place` names it in messages.
    pub(crate) fn parse(text: &str, place: &str) -> Result<Self> {
        let table: toml::Table = text.parse().map_err(|error| Failure::usage(not_toml(text, place, &error)))?;
        let known = Self::keys();
        for key in table.keys() {
            if !known.contains(&key.as_str()) && key != "tune" {
                let near = data::near(key, known.iter().copied());
                let hint = near.map_or_else(
                    || format!("known are {}", known.join(", ")),
                    |near| format!("did you mean `{near}`?"),
                );
                return Err(Failure::usage(anyhow::anyhow!("recipe `{place}`: unknown key `{key}`; {hint}")));
            }
        }
        toml::from_str(text).map_err(|error: toml::de::Error| {
            let (line, shown) = line_of(text, &error);
            Failure::usage(anyhow::anyhow!("recipe `{place}` line {line}, `{shown}`: {}", plain(error.message())))
        })
    }
}
