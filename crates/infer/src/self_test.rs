//! `infer self-test`: what `Predictor::self_test` finds, for people and for programs.

use std::io::{self, Write};
use std::path::PathBuf;

use infer::{Checked, Predictor};
use models::Golden;
use serde_json::json;

use crate::failure::{Failure, tell};
use crate::runs;

/// Outputs that are printed of an input that differs.
const SHOWN: usize = 5;

/// Answer the made-up inputs that a model file carries, and compare with what it answered where it was trained; exit with 6 if it
/// answers something else here
#[derive(Debug, clap::Args)]
pub(crate) struct SelfTest {
    /// A model file, or the folder of a run, whose weights/best.safetensors is taken
    model: PathBuf,
    /// text for people, json for programs
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// auto, cpu, flex, ndarray, cuda, metal, vulkan, wgpu; with :N for one of several
    #[arg(long, env = "STRIATE_DEVICE", value_name = "NAME", default_value = "auto")]
    device: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    Text,
    Json,
}

impl SelfTest {
    /// Fails if an answer differs, or there is nothing to compare.
    pub(crate) fn run(self) -> Result<(), Failure> {
        let file = runs::model_file(&self.model)?;
        let selected = device::select(&self.device)?;
        selected.note.iter().for_each(tell);
        let predictor = Predictor::load(&file, &selected.device)?;
        let Some(checked) = predictor.self_test()? else {
            let what = "holds no golden inputs (it is of an older version, or its table has more than 1,000 columns); train again";
            return Err(Failure::model(anyhow::anyhow!("`{}` {what}", file.display())));
        };
        let mut out = io::stdout().lock();
        match self.format {
            Format::Json => writeln!(
                out,
                "{}",
                json!({
                    "v": 1,
                    "model": file,
                    "device": selected.name,
                    "tolerance": Golden::TOLERANCE,
                    "agrees": checked.iter().all(Checked::agrees),
                    // JSON has no infinity.
                    "inputs": checked.iter().map(|one| json!({
                        "agrees": one.agrees(),
                        "distance": one.distance.is_finite().then_some(one.distance),
                        "expected": one.expected,
                        "found": one.found,
                    })).collect::<Vec<_>>(),
                })
            )?,
            Format::Text => {
                for (at, one) in checked.iter().enumerate() {
                    writeln!(out, "{}", line(at, one))?;
                }
            }
        }
        out.flush()?;
        let differ = checked.iter().filter(|one| !one.agrees()).count();
        if differ > 0 {
            let what = format!(
                "{differ} of {} inputs are answered otherwise on {} than where `{}` was trained; try --device cpu, and look at the driver",
                checked.len(),
                selected.name,
                file.display()
            );
            return Err(Failure::differs(anyhow::anyhow!(what)));
        }
        Ok(())
    }
}

fn line(at: usize, one: &Checked) -> String {
    let number = at + 1;
    if one.agrees() {
        return match one.distance {
            0.0 => format!("input {number}: the same, to the bit"),
            distance => format!("input {number}: the same, up to {distance:.1e} of its largest output"),
        };
    }
    let shown = |outputs: &[f32]| {
        let shown: Vec<String> = outputs.iter().take(SHOWN).map(ToString::to_string).collect();
        format!("{}{}", shown.join(", "), if outputs.len() > SHOWN { ", ..." } else { "" })
    };
    format!(
        "input {number}: differs by {:.1e} of its largest output: expected {}; found {}",
        one.distance,
        shown(&one.expected),
        shown(&one.found)
    )
}
