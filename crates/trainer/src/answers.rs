//! What a model answered on the samples of a split, kept while it is measured so that nothing is computed twice. What is made of it is
//! `page`'s.

use std::sync::Arc;

use burn::tensor::Device;
use data::{Dataset, Loader};
use models::Model;
use tasks::Metrics;

use crate::evaluate::{Predicted, measure};
use crate::{Error, Ranks, evaluate_each};

/// The samples of a split, and what a model put out for them.
#[derive(Clone, Debug)]
pub struct Answers {
    /// `test` or `val`.
    pub split: &'static str,
    /// Positions of the samples in their data set.
    pub indices: Vec<u32>,
    /// Logits, or standardised values of a regression: `[samples, outputs]`. As many numbers as the metrics' rankings hold.
    pub outputs: Vec<f32>,
}

impl Answers {
    pub(crate) fn none(split: &'static str) -> Self {
        Self { split, indices: Vec::new(), outputs: Vec::new() }
    }

    pub(crate) fn add(&mut self, batch: &Predicted<'_>) {
        self.indices.extend_from_slice(batch.indices);
        self.outputs.extend_from_slice(batch.outputs);
    }

    /// Measures `model` on the test split of `dataset`, or, without one or where `only_validation`, on the validation split; `None` where that
    /// has no samples. `metrics` are empty sums ([`tasks::Task::metrics_at`]). A run that hasn't ended may be trained on: what its test split says would then have chosen something.
    ///
    /// # Errors
    /// If a sample cannot be read or has no target.
    pub fn of(
        model: &Model,
        metrics: Metrics,
        dataset: &Arc<Dataset>,
        device: &Device,
        only_validation: bool,
    ) -> Result<Option<(Metrics, Self)>, Error> {
        let split = &dataset.split;
        let (name, indices) = match split.test.is_empty() || only_validation {
            true => ("val", &split.val),
            false => ("test", &split.test),
        };
        if indices.is_empty() {
            return Ok(None);
        }
        let mut answers = Self::none(name);
        let loader = Loader::new(dataset.clone(), indices.to_vec(), 256);
        let metrics = evaluate_each(model, metrics, &loader, device, &mut |batch| {
            answers.add(&batch);
            Ok(())
        })?;
        Ok(Some((metrics, answers)))
    }

    /// Measures `model` over one epoch of `loader`, which is `split`, until `stop` says so: then there is nothing. Each rank
    /// computes its part of every batch.
    ///
    /// # Errors
    /// If a sample cannot be read or has no target.
    pub(crate) fn until(
        split: &'static str,
        model: &Model,
        metrics: Metrics,
        loader: &Loader,
        device: &Device,
        (ranks, stop): (&Ranks, &dyn Fn() -> bool),
    ) -> Result<Option<(Metrics, Self)>, Error> {
        let mut answers = Self::none(split);
        let metrics = measure(model, metrics, loader, device, ranks, &mut |batch| {
            answers.add(&batch);
            Ok(!ranks.any(stop())?)
        })?;
        Ok(metrics.map(|metrics| (metrics, answers)))
    }
}
