//! Networks from a configuration, and the file that keeps one.
//!
//! Owns the architectures ([`ModelConfig`] to [`Model`]), their initial weights, their parameters' names, and the model file. Knows
//! no data sets, losses, optimisers or devices beyond the one it is given. Training mode is said by [`Pass`], never by the device.

mod activation;
mod block;
mod builder;
mod cnn;
mod config;
pub mod container;
mod error;
mod explain;
mod features;
mod file;
mod filters;
mod golden;
mod init;
mod layers;
mod memory;
mod mlp;
mod model;
mod named;
pub mod packed;
mod parameters;
mod plan;
mod precision;
mod preset;
mod pretrained;
mod stage;
mod summary;
mod trace;

pub use activation::Activation;
pub use cnn::{CnnConfig, HeadConfig, HeadPool};
pub use config::{Custom, ModelConfig};
pub use error::Error;
pub use explain::{
    Attribution, Baseline, GradCam, IntegratedGradients, Patches, grad_cam, integrated_gradients, occlusion,
};
pub use features::{FeatureMap, feature_maps};
pub use file::{BEST, FORMAT, ModelFile, ModelHeader, VERSION};
pub use filters::{Filters, filters, first_filters};
pub use golden::Golden;
pub use init::Init;
pub use kernels::{Activation as LayerActivation, Layer, Plan, fold};
pub use layers::{Normalisation, Padding, PoolConfig, PoolKind};
pub use memory::{Footprint, footprint};
pub use mlp::MlpConfig;
pub use model::{Model, Pass};
pub use parameters::{
    Kind, NamedTensor, freeze, is_head, is_output, load_tensors, named_tensors, parameter_kinds, parameter_sizes,
    replace_tensors,
};
pub use precision::Precision;
pub use pretrained::{Fit, Misfit, Pretrained, Taken};
pub use stage::{Residual, StageConfig};
pub use summary::{LayerSummary, summary};
pub use trace::{Fault, fault, first_fault};
