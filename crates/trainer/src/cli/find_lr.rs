//! `trainer find-lr`: the learning-rate range test of what `trainer train` would train, as a curve in text, JSON or a page, and the rate to
//! go on with. Makes no run.

use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow};
use serde_json::json;
use trainer::range_test::{Curve, Point, Range, RangeTest, Stopped, Suggestion};
use trainer::{Ranks, RunFolder};

use super::failure::{Failure, code};
use super::options::Options;
use super::report::{significant, trainer_command};
use super::signals::Signals;
use super::train::{Sitting, layered, settled};
use super::{Format, Output, Watch, stream};

/// Rows of the curve in text.
const ROWS: usize = 24;
/// Width of its bars.
const BAR: usize = 40;
/// Losses are drawn up to this many times that of the beginning.
const DRAWN: f64 = 1.5;

/// Its command line.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The first rate
    #[arg(long, value_name = "RATE", default_value_t = 1e-7)]
    from: f64,
    /// The last rate
    #[arg(long, value_name = "RATE", default_value_t = 10.0)]
    to: f64,
    /// Updates of the weights, over as many epochs as they take
    #[arg(long, value_name = "N", default_value_t = 100)]
    steps: usize,
    /// Write a page for people, one HTML file; a name that ends in .svg or .png gives the curve alone
    #[arg(long, value_name = "FILE")]
    page: Option<PathBuf>,
    /// A TOML file of options; flags and environment variables win over it
    #[arg(long, visible_alias = "config", env = "STRIATE_RECIPE", value_name = "FILE")]
    recipe: Option<PathBuf>,
    /// Print no progress
    #[arg(long, short)]
    quiet: bool,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    options: Options,
}

/// What was found.
struct Found {
    range: Range,
    curve: Curve,
    stopped: Stopped,
    suggestion: Option<Suggestion>,
    /// What was tried, in a word or two.
    name: String,
    /// The same command with `train`, and without a rate.
    train: String,
}

/// Tries the rates.
pub(crate) fn run(arguments: Arguments) -> Result<u8> {
    Options::check_environment(std::env::vars_os().filter_map(|(name, _)| name.into_string().ok()))?;
    let range = Range { from: arguments.from, to: arguments.to, steps: arguments.steps };
    range.check()?;
    if let Some(page) = &arguments.page {
        data::check_place("--page", page, &["html", "htm", "svg", "png"], &[b"<!DOCTYPE html", b"<svg", b"\x89PNG"])?;
    }
    let options = layered(arguments.options, arguments.recipe.as_deref())?;
    let (options, dataset) = settled(options, &Ranks::alone(), arguments.quiet)?;
    let name = super::train::name(&options);
    let mut sitting = Sitting::prepare(
        &options,
        dataset,
        Watch { quiet: arguments.quiet, tui: false },
        arguments.output,
        &Ranks::alone(),
    )?
    .initialised()?;
    let signals = Signals::listen()?;
    let mut bar = sitting.bar.take();
    let (config, dataset) = (&sitting.config, sitting.dataset.clone());
    let (task, device) = (sitting.task.clone(), sitting.device.device.clone());
    let tried =
        RangeTest { config, dataset, task, device, range }.run(&|| signals.stop(), &mut |event| bar.draw(&event));
    bar.finish();
    let (curve, stopped) = tried?;
    if stopped == Stopped::Interrupted {
        stream::tell(format_args!(
            "interrupted after {} of {} steps: no curve to judge",
            curve.points.len(),
            range.steps
        ));
        return Ok(signals.code());
    }
    let suggestion = curve.suggestion();
    let found = Found { range, curve, stopped, suggestion, name, train: train_command(std::env::args()) };
    if let Some(page) = &arguments.page {
        write_page(&found, page)?;
    }
    match arguments.output.format {
        Format::Json => stream::print(found.json())?,
        Format::Text => stream::print(found.text(arguments.page.as_deref()))?,
    }
    match found.suggestion {
        Some(_) => Ok(code::OK),
        None => Err(Failure::with(code::TARGET_MISSED, anyhow!("no learning rate to suggest: {}", found.why_none()))),
    }
}

impl Found {
    /// The rate to train with, to two digits.
    fn rate(&self) -> Option<String> {
        self.suggestion.map(|suggestion| rounded(suggestion.lr))
    }

    fn command(&self) -> Option<String> {
        Some(format!("{} --lr {}", self.train, self.rate()?))
    }

    /// How the test ended, in words.
    fn ended(&self) -> String {
        let (steps, last) = (self.curve.points.len(), self.curve.points.last().map_or(self.range.from, |last| last.lr));
        match self.stopped {
            Stopped::Range => format!("all {steps} steps were made, up to a rate of {}", rounded(last)),
            Stopped::Diverged => format!("the loss diverged at a rate of {}, after {steps} steps", rounded(last)),
            _ => format!("the loss was no number any more after {steps} steps, at a rate of {}", rounded(last)),
        }
    }

    fn why_none(&self) -> String {
        let why = match self.stopped {
            Stopped::Range => {
                "the loss fell at none of them; is the network or the data at fault, or are --steps too few?"
            }
            _ => {
                "the loss never fell before it diverged; give a smaller --from, or look at the data with `trainer doctor`"
            }
        };
        format!("{}, and {why}", self.ended())
    }

    fn note(&self) -> Option<String> {
        let (suggestion, last) = (self.suggestion?, self.curve.points.last()?);
        let lowest_at_end = self.stopped == Stopped::Range && suggestion.minimum >= last.lr / 2.0;
        lowest_at_end.then(|| format!("the loss still fell at {}: a greater --to may show more", rounded(last.lr)))
    }

    fn json(&self) -> serde_json::Value {
        let suggestion = self.suggestion;
        json!({
            "v": 1,
            "from": self.range.from,
            "to": self.range.to,
            "steps": self.range.steps,
            "stopped": self.stopped,
            "points": self.curve.points,
            "steepest": suggestion.map(|suggestion| suggestion.steepest),
            "minimum": suggestion.map(|suggestion| suggestion.minimum),
            "tenth_of_minimum": suggestion.map(|suggestion| suggestion.tenth),
            "suggested": self.rate().and_then(|rate| rate.parse::<f64>().ok()),
            "command": self.command(),
        })
    }

    /// The greatest loss that is drawn.
    fn top(&self) -> f64 {
        let start = self.curve.points.first().map_or(1.0, |first| first.smoothed);
        let least = self.curve.points.iter().map(|point| point.smoothed).fold(f64::INFINITY, f64::min);
        (start * DRAWN).max(least)
    }

    fn text(&self, page: Option<&Path>) -> String {
        let mut lines = vec![format!("{:>9} {:>10} {:>10}", "lr", "loss", "smoothed")];
        let points = &self.curve.points;
        let thin = points.len().div_ceil(ROWS).max(1);
        let shown = points.iter().enumerate().filter(|(at, _)| at % thin == 0 || at + 1 == points.len());
        lines.extend(shown.map(|(_, point)| self.row(point)));
        lines.push(format!("ended    {}", self.ended()));
        if let (Some(suggestion), Some(rate), Some(command)) = (self.suggestion, self.rate(), self.command()) {
            let Suggestion { steepest, minimum, tenth, .. } = suggestion;
            lines.push(format!("steepest {}, where the loss falls fastest", rounded(steepest)));
            lines.push(format!(
                "minimum  {}, where it is least: on the edge; a tenth is {}",
                rounded(minimum),
                rounded(tenth)
            ));
            lines.push(format!("suggest  --lr {rate}, midway between the steepest point and that tenth"));
            lines.extend(self.note().map(|note| format!("note     {note}")));
            lines.push(format!("try next {command}"));
        }
        lines.extend(page.map(|page| format!("page     {}", page.display())));
        lines.join("\n")
    }

    fn row(&self, point: &Point) -> String {
        let [loss, smoothed] = [point.loss, point.smoothed].map(significant);
        let share = (point.smoothed / self.top()).clamp(0.0, 1.0);
        let bar = "#".repeat(if share.is_finite() { (share * BAR as f64).round() as usize } else { 0 });
        format!("{:>9.2e} {loss:>10} {smoothed:>10}  {bar}", point.lr).trim_end().to_owned()
    }

    fn page(&self) -> report::RangeTest {
        let mut facts = vec![("Ended".to_owned(), self.ended())];
        let mut marks = Vec::new();
        match self.suggestion {
            Some(Suggestion { steepest, minimum, tenth, .. }) => {
                let midway = |rate| format!("{rate}, midway between the steepest point and a tenth of the minimum");
                facts.extend(self.rate().map(|rate| ("Suggested".to_owned(), midway(rate))));
                facts.push(("Steepest".to_owned(), format!("{}, where the loss falls fastest", rounded(steepest))));
                let least = format!("{}, where the loss is least; a tenth is {}", rounded(minimum), rounded(tenth));
                facts.push(("Minimum".to_owned(), least));
                marks.extend(self.rate().and_then(|rate| rate.parse::<f64>().ok()));
            }
            None => facts.push(("Suggested".to_owned(), format!("nothing: {}", self.why_none()))),
        }
        report::RangeTest {
            name: self.name.clone(),
            facts,
            notes: self.note().into_iter().collect(),
            points: self.curve.points.iter().map(|point| [point.lr, point.loss, point.smoothed]).collect(),
            top: self.top(),
            marks,
            commands: self.command().map(|command| ("Train with it".to_owned(), command)).into_iter().collect(),
        }
    }
}

/// HTML, or the curve alone where the file's name ends as that of a picture.
fn write_page(found: &Found, path: &Path) -> Result<()> {
    let page = found.page();
    let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default().to_lowercase();
    let drawn = || page.sheet().ok_or_else(|| anyhow!("--page: there is no finite number to draw"));
    let bytes = match ending.as_str() {
        "svg" => drawn()?.svg().as_bytes().to_vec(),
        "png" => drawn()?.png().map_err(|error| anyhow!("--page: {error}"))?,
        _ => page.html().into_bytes(),
    };
    Ok(RunFolder::write(path, &bytes)?)
}

/// A rate as people write it: `0.025`, `3.1e-5`.
fn rounded(rate: f64) -> String {
    let two: f64 = format!("{rate:.1e}").parse().unwrap_or(rate);
    if (1e-3..1e3).contains(&two) { two.to_string() } else { format!("{two:e}") }
}

/// The command line that trains what this one has tried: without what only this one has, and without a rate.
fn train_command(arguments: impl Iterator<Item = String>) -> String {
    const OWN: [&str; 8] = ["--from", "--to", "--steps", "--page", "--format", "--lr", "--learning-rate", "--quiet"];
    let mut kept = vec!["train".to_owned()];
    let mut arguments = arguments.skip(2);
    while let Some(argument) = arguments.next() {
        let (flag, value) =
            argument.split_once('=').map_or((argument.as_str(), None), |(flag, value)| (flag, Some(value)));
        if !OWN.contains(&flag) && flag != "-q" {
            kept.push(data::quoted(Path::new(&argument)));
        } else if value.is_none() && !["--quiet", "-q"].contains(&flag) {
            let _ = arguments.next();
        }
    }
    trainer_command(&kept.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_to_go_on_with_has_what_trains_and_nothing_else() {
        let words = "trainer find-lr --from 1e-5 DATA=x.csv --label a --page=p.html -q --lr 3 --steps 50 --model mlp --format json";
        let command = train_command(words.split(' ').map(str::to_owned));
        assert!(command.ends_with("train DATA=x.csv --label a --model mlp"), "{command}");
        let spaced = train_command(["trainer", "find-lr", "my data"].map(str::to_owned).into_iter());
        assert!(spaced.ends_with("train 'my data'"), "{spaced}");
    }

    #[test]
    fn rates_have_two_digits() {
        assert_eq!([0.02512, 3.149e-5, 0.0999, 12.34, 1e-7].map(rounded), ["0.025", "3.1e-5", "0.1", "12", "1e-7"]);
    }
}
