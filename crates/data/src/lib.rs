//! Turns files into a [`Dataset`] and a `Dataset` into ordered [`Batch`]es.
//!
//! Owns every reader, the splits, augmentation and the preprocessing recipe ([`InputSpec`]), which is stored with a model and used
//! again by inference. Knows nothing of networks, losses or devices beyond turning a batch into tensors.

mod augment;
mod batch;
mod cifar;
mod clock;
mod contain;
mod dataset;
pub mod digits;
pub mod doctor;
mod error;
mod example;
pub mod failpoint;
mod fingerprint;
mod folder;
mod idx;
pub mod image;
mod input;
mod list;
mod loader;
mod open;
mod ordered;
mod pictures;
mod pixels;
mod place;
pub mod random;
mod regular;
mod replace;
mod resident;
mod resize;
mod shell;
pub mod split;
pub mod table;

pub use augment::Augment;
pub use batch::{Batch, Inputs, Target, Targets as BatchTargets};
pub use clock::Utc;
pub use contain::contain;
pub use dataset::{Dataset, Found, Samples, Sources, Targets};
pub use error::{Error, is_exhausted, is_unwritable, near};
pub use example::Example;
pub use fingerprint::{Fingerprint, SplitPrint};
pub use input::{Column, ColumnKind, Filter, Fit, ImageSpec, InputSpec, TableSpec, TargetColumn};
pub use loader::{Epoch, Loader};
pub use open::{Like, OpenOptions, Outputs, TaskKind, open};
pub use place::check_place;
pub use regular::{open_regular, read_regular};
pub use replace::{remove_scratch, replace, sync_folder};
pub use resident::{Resident, Rows};
pub use resize::Framing;
pub use shell::quoted;
pub use split::{Part, Split};
