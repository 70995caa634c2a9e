//! The search for options: which ranges there are and what is drawn from them ([`Space`]), and how far each trial is trained before the best go on
//! ([`Halving`]), what it has come to ([`Record`]) and where that lies ([`SearchFolder`]). Trains nothing and knows no options by name: that is its caller's.

mod folder;
mod halving;
mod record;
mod space;

pub use folder::SearchFolder;
pub use halving::{Halving, Rung};
pub use record::{Reached, Record, SearchEnded, Trial};
pub use space::{Range, Space};
