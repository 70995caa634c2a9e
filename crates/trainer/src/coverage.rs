//! How far a model's probabilities, sets and intervals can be relied on, measured on samples: what `trainer eval`, `metrics.json` and the
//! report say of a [`Calibration`].

use data::{BatchTargets, Dataset, Targets};
use report::{Coverage, CoverageRow, Share};
use serde_json::{Value, json};
use tasks::{Calibration, Limits, Task, wilson};

use crate::Answers;

/// Coverages that are measured and shown.
pub const COVERAGES: [f64; 3] = [0.9, 0.95, 0.99];

/// Sums over samples: losses and calibration before and after, and how often the truth was covered.
pub struct CoverageSums<'a> {
    task: &'a Task,
    calibration: &'a Calibration,
    /// At temperature 1, and at the calibration's. Of numbers there are none.
    readings: [Sums; 2],
    asked: Vec<Asked>,
    samples: u64,
}

/// What probabilities at one temperature come to.
struct Sums {
    temperature: f64,
    /// Sum of -ln of the probability of what is, and of how many.
    loss: (f64, u64),
    bins: report::Calibration,
}

/// What the sets or intervals of one coverage come to.
struct Asked {
    coverage: f64,
    limits: Limits,
    /// How often the truth was within: of the set, or of each target's interval.
    covered: Vec<u64>,
    /// Classes in all sets.
    sizes: u64,
}

impl<'a> CoverageSums<'a> {
    /// Of no samples yet.
    pub fn new(task: &'a Task, calibration: &'a Calibration) -> Self {
        let lists = if let Task::Regression(_) = task { task.outputs() } else { 1 };
        let asked = |&coverage: &f64| {
            let limits = calibration.limits(coverage).ok()?;
            Some(Asked { coverage, limits, covered: vec![0; lists], sizes: 0 })
        };
        let readings = [1.0, calibration.temperature()].map(|temperature| Sums {
            temperature,
            loss: (0.0, 0),
            bins: report::Calibration::default(),
        });
        Self { task, calibration, readings, asked: COVERAGES.iter().filter_map(asked).collect(), samples: 0 }
    }

    /// Adds the `outputs` of one sample, whose targets are row `index` of `targets`.
    pub fn add(&mut self, outputs: &[f32], targets: &BatchTargets, index: usize) {
        self.samples += 1;
        match self.task {
            Task::Classification(_) => self.add_class(outputs, targets, index),
            Task::MultiLabel(_) => self.add_labels(outputs, targets, index),
            Task::Regression(_) => {
                let errors = self.task.scores(outputs, targets, index, 1.0);
                for Asked { limits, covered, .. } in &mut self.asked {
                    for (target, (count, error)) in covered.iter_mut().zip(&errors).enumerate() {
                        *count += u64::from(*error <= limits.score(target));
                    }
                }
            }
        }
    }

    fn add_class(&mut self, outputs: &[f32], targets: &BatchTargets, index: usize) {
        for Sums { temperature, loss, bins } in &mut self.readings {
            let truth = self.task.scores(outputs, targets, index, *temperature)[0];
            let surprises = self.task.surprises(outputs, *temperature);
            let least = surprises.into_iter().fold(f64::INFINITY, f64::min);
            *loss = (loss.0 + truth, loss.1 + 1);
            bins.add((-least).exp(), truth <= least);
        }
        let temperature = self.calibration.temperature();
        let truth = self.task.scores(outputs, targets, index, temperature)[0];
        let mut surprises = self.task.surprises(outputs, temperature);
        surprises.sort_by(f64::total_cmp);
        for Asked { limits, covered, sizes, .. } in &mut self.asked {
            let len = limits.set_len(surprises.iter().copied());
            *sizes += len as u64;
            covered[0] += u64::from(surprises.get(len - 1).is_some_and(|last| truth <= *last));
        }
    }

    fn add_labels(&mut self, outputs: &[f32], targets: &BatchTargets, index: usize) {
        let applies = |label: usize| match targets {
            BatchTargets::Dense { width, values } => {
                values.get(index * width + label).is_some_and(|&value| value >= 0.5)
            }
            BatchTargets::Classes(classes) => classes.get(index).is_some_and(|&class| class as usize == label),
        };
        for Sums { temperature, loss, bins } in &mut self.readings {
            let losses = self.task.scores(outputs, targets, index, *temperature);
            *loss = (loss.0 + losses.iter().sum::<f64>(), loss.1 + losses.len() as u64);
            for (label, probability) in self.task.numbers(outputs, *temperature).into_iter().enumerate() {
                bins.add(probability, applies(label));
            }
        }
    }

    /// What came of all samples, which are of `split`; `None` without any.
    pub fn finish(self, split: &'static str) -> Option<Coverage> {
        let Self { task, calibration, readings: [before, after], asked, samples } = self;
        if samples == 0 {
            return None;
        }
        let numbers = matches!(task, Task::Regression(_));
        let both = |of: fn(&Sums) -> Option<f64>| Some([of(&before)?, of(&after)?]);
        let mut rows = Vec::new();
        for Asked { coverage, limits, covered, sizes } in asked {
            for (index, count) in covered.into_iter().enumerate() {
                let share = |[low, high]: [f64; 2]| Share { value: count as f64 / samples as f64, low, high };
                let size = if numbers { 2.0 * limits.score(index) } else { sizes as f64 / samples as f64 };
                rows.push(CoverageRow {
                    target: numbers.then(|| task.names()[index].clone()),
                    asked: coverage,
                    covered: wilson(count, samples).map(share),
                    size: Some(size).filter(|_| !limits.is_unbounded()),
                });
            }
        }
        Some(Coverage {
            split,
            temperature: (!numbers).then(|| calibration.temperature()),
            fitted_on: calibration.samples(),
            note: calibration.note().map(str::to_owned),
            loss: both(|sums| (sums.loss.1 > 0).then(|| sums.loss.0 / sums.loss.1 as f64)),
            error: both(|sums| sums.bins.error()),
            rows,
        })
    }
}

/// How far `answers`, which are of samples of `dataset`, can be relied on.
pub fn coverage_of(task: &Task, calibration: &Calibration, dataset: &Dataset, answers: &Answers) -> Option<Coverage> {
    let targets = match &dataset.targets {
        Targets::Classes { values, .. } => BatchTargets::Classes(values.clone()),
        Targets::Labels { names, values } => {
            BatchTargets::Dense { width: names.len(), values: values.iter().map(|&value| f32::from(value)).collect() }
        }
        Targets::Values { names, values } => BatchTargets::Dense { width: names.len(), values: values.clone() },
    };
    let mut sums = CoverageSums::new(task, calibration);
    for (&index, outputs) in answers.indices.iter().zip(answers.outputs.chunks(task.outputs().max(1))) {
        sums.add(outputs, &targets, index as usize);
    }
    sums.finish(answers.split)
}

/// For programs: see `metrics.json` in `docs/formats.md`.
pub fn coverage_json(coverage: &Coverage) -> Value {
    let both = |both: Option<[f64; 2]>| both.map(|[before, after]| json!({ "before": before, "after": after }));
    let row = |row: &CoverageRow| {
        let mut line = json!({
            "asked": row.asked,
            "covered": row.covered.map(|share| share.value),
            "covered_interval": row.covered.map(|share| [share.low, share.high]),
            if row.target.is_some() { "width" } else { "mean_size" }: row.size,
        });
        if let Some(target) = &row.target {
            line["target"] = target.as_str().into();
        }
        line
    };
    json!({
        "on": coverage.split,
        "fitted_on": coverage.fitted_on,
        "temperature": coverage.temperature,
        "note": coverage.note,
        "loss": both(coverage.loss),
        "calibration_error": both(coverage.error),
        "coverage": coverage.rows.iter().map(row).collect::<Vec<_>>(),
    })
}
