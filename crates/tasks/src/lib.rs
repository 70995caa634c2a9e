//! What turns a network's outputs and its targets into a loss, metrics and predictions: one file for each task.
//!
//! A [`Task`] is made from the targets of a data set, trains ([`Task::loss`]), is measured ([`Metrics`]) and answers
//! ([`Task::decode`], calibrated: [`Task::decode_as`]); it is stored in the model file as JSON. Knows nothing of networks, files or devices.

mod calibration;
mod classification;
mod doubt;
mod error;
mod goal;
mod metrics;
mod multi_label;
pub mod paired;
mod prediction;
mod regression;
mod task;

pub use calibration::{Calibration, CalibrationFit, Limits, Reading};
pub use classification::Classification;
pub use doubt::{Contradiction, Doubt, Doubts};
pub use error::Error;
pub use goal::Goal;
pub use metrics::{ClassReport, Curves, Metrics, Report, TargetReport, wilson};
pub use multi_label::{MultiLabel, THRESHOLD};
pub use prediction::{Prediction, Scored};
pub use regression::{Regression, RegressionLoss};
pub use task::{ClassWeights, LossOptions, Task};
