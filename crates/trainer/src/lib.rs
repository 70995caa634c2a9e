//! Trains a network: epochs, optimizer, learning-rate schedule, checkpoints and the run folder.
//!
//! [`train`] is the whole story, from initialisation to the last epoch; everything else here is a step of it. This library never
//! prints, never exits, never chooses a device and never touches the network: the binary of the same name does.

mod answers;
mod checkpoint;
mod config;
mod coverage;
mod decision;
mod divergence;
pub mod ema;
mod error;
mod evaluate;
mod event;
mod freeze;
pub mod gradient;
pub mod initial;
mod job;
mod judge;
mod keeper;
mod learner;
mod lock;
mod lost;
pub mod memory;
pub mod optimizer;
mod page;
pub mod parity;
mod progress;
mod provenance;
pub mod range_test;
mod ranks;
mod results;
mod run_folder;
mod save;
mod scaling;
pub mod schedule;
pub mod search;
mod state;
mod train;
mod unread;
mod warm;
mod weights;

pub use answers::Answers;
pub use checkpoint::{Checkpoint, Settings};
pub use config::TrainConfig;
pub use coverage::{COVERAGES, CoverageSums, coverage_json, coverage_of};
pub use divergence::OnNan;
pub use ema::Ema;
pub use error::Error;
pub use evaluate::{Predicted, evaluate, evaluate_each};
pub use event::{EpochSummary, Event};
pub use initial::{Initial, Origin};
pub use job::{Job, Seen, Watch};
pub use optimizer::{Optimizer, OptimizerConfig};
pub use page::{Found, Glance, Known, write_report};
pub use progress::{Best, Change, LeftOut, Progress};
pub use provenance::{Machine, Provenance};
pub use ranks::{Link, Ranks};
pub use results::recorded_weights;
pub use run_folder::RunFolder;
pub use scaling::LossScale;
pub use schedule::ScheduleConfig;
pub use state::StateError;
pub use train::{Ended, Report, train};
pub use warm::{Latency, Warmth, rehearse, warm};
pub use weights::weights_hash;
