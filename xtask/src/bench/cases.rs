//! What is measured: networks, batches, and the ratios that the project promises itself. Filters choose among them.

use anyhow::{Result, ensure};

/// Who is compared with us.
pub(crate) const PLAIN: &str = "Burn";
pub(crate) const TORCH: &str = "PyTorch";
pub(crate) const ONNX: &str = "ONNX Runtime";

const KINDS: [&str; 7] = ["sgemm", "train", "predict", "memory", "start", "mnist", "folder"];

/// One comparison.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Case {
    /// `train`, `predict` or `sgemm`.
    pub(crate) what: &'static str,
    /// The network.
    pub(crate) model: &'static str,
    /// Images in a step.
    pub(crate) batch: usize,
    /// How many times as fast as whom we must be at least.
    pub(crate) least: Option<(&'static str, f64)>,
}

/// Every comparison, in the order of the table.
pub(crate) fn all() -> Vec<Case> {
    let train = |model, batch, least| Case { what: "train", model, batch, least: Some((TORCH, least)) };
    let predict = |model, batch, least| Case { what: "predict", model, batch, least };
    vec![
        train("cnn", 64, 1.3),
        train("cnn", 256, 1.3),
        train("mlp", 64, 1.3),
        train("mlp", 256, 1.3),
        train("resnet20", 128, 1.0),
        train("resnet20", 256, 1.0),
        train("mobile", 128, 1.0),
        predict("cnn", 1, Some((ONNX, 0.8))),
        predict("cnn", 64, Some((ONNX, 0.8))),
        predict("cnn", 256, Some((ONNX, 0.8))),
        predict("mlp", 1, Some((ONNX, 0.8))),
        predict("mlp", 64, None),
        predict("mlp", 256, None),
    ]
}

/// The product of two square matrices: what the machine can do.
pub(crate) fn sgemm() -> Case {
    Case { what: "sgemm", model: "square", batch: 2048, least: None }
}

/// Whose peak memory is compared.
pub(crate) const MEMORY: Case = Case { what: "train", model: "cnn", batch: 256, least: None };

/// `WHAT[:MODEL[:BATCH]]`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Filter(Vec<String>);

impl Filter {
    /// Filters with commas between them.
    pub(crate) fn list(text: &str) -> Result<Vec<Self>> {
        let filters: Vec<Self> =
            text.split(',').map(|filter| Self(filter.split(':').map(str::to_owned).collect())).collect();
        for filter in &filters {
            let kind = filter.0.first().map(String::as_str).unwrap_or_default();
            ensure!(KINDS.contains(&kind), "bench: --only {kind}: expected one of {}", KINDS.join(", "));
            let known = all().iter().any(|case| filter.takes(case)) || filter.0.len() == 1;
            ensure!(known, "bench: --only {}: there is no such case", filter.0.join(":"));
        }
        Ok(filters)
    }

    fn takes(&self, case: &Case) -> bool {
        let parts = [case.what.to_owned(), case.model.to_owned(), case.batch.to_string()];
        self.0.len() <= parts.len() && self.0.iter().zip(&parts).all(|(wanted, part)| wanted == part)
    }
}

/// Whether the filters take `case`; no filter takes all.
pub(crate) fn wanted(case: &Case, only: &[Filter]) -> bool {
    only.is_empty() || only.iter().any(|filter| filter.takes(case))
}

/// Whether the filters take the part called `kind`.
pub(crate) fn wants(kind: &str, only: &[Filter]) -> bool {
    only.is_empty() || only.iter().any(|filter| filter.0.first().is_some_and(|first| first == kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(filters: &str) -> usize {
        let filters = Filter::list(filters).unwrap();
        all().iter().filter(|case| wanted(case, &filters)).count()
    }

    #[test]
    fn filters_choose_by_kind_network_and_batch() {
        assert_eq!(
            (count("train:cnn"), count("train:cnn:64"), count("train:mlp,predict:cnn:1"), count("memory")),
            (2, 1, 3, 0)
        );
        assert!(wants("memory", &Filter::list("memory").unwrap()) && !wants("memory", &Filter::list("train").unwrap()));
    }

    #[test]
    fn a_filter_of_nothing_is_refused() {
        assert!(Filter::list("tran:cnn").unwrap_err().to_string().contains("tran"));
        assert!(Filter::list("train:cnn:65").unwrap_err().to_string().contains("train:cnn:65"));
    }
}
