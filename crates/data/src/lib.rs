//! Turns files into a [`Dataset`] and a `Dataset` into ordered [`Batch`]es.
//!
//! Owns every reader, the splits, augmentation and the preprocessing recipe ([`InputSpec`]), which is stored with a model and used
//! again by inference. Knows nothing of networks, losses or devices beyond turning a batch into tensors.

mod error;
pub mod random;
mod input;
mod dataset;
mod batch;
mod augment;
mod ordered;
mod loader;
pub mod split;
pub mod image;
mod resize;
mod pixels;
mod pictures;
pub mod digits;
mod idx;
mod cifar;
mod folder;
mod list;
pub mod table;
mod open;

pub use augment::Augment;
pub use batch::{Batch, Inputs, Target, Targets as BatchTargets};
pub use dataset::{Dataset, Found, Samples, Sources, Targets};
pub use error::Error;
pub use input::{Column, ColumnKind, Filter, Fit, ImageSpec, InputSpec, TableSpec, TargetColumn};
pub use loader::{Epoch, Loader};
pub use open::{Like, OpenOptions, Outputs, TaskKind, open};
pub use split::{Part, Split};
