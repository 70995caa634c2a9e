//! Prediction on plain slices: a network as a list of steps that was prepared once. Batch normalisation is folded into the layer before
//! it, weights lie as the kernels walk them, buffers are planned, and nothing but the answer is allocated. Knows no tensors, no
//! gradients and no files; `models` says what the network is.

mod assemble;
mod convolution;
mod direct;
mod intake;
mod linear;
mod map;
mod pointwise;
mod pool;
mod run;
mod step;
mod tile;
mod winograd;

use intake::Intake;
use run::Workspace;
use step::{Place, Step};

/// A network that is ready to predict.
pub struct Plan {
    intake: Intake,
    /// For one image each, up to the first linear layer.
    images: Vec<Step>,
    /// From there on, for as many images as there are.
    rows: Vec<Step>,
    /// Values of each buffer for one image; those from `shared` on are kept for all images of a block.
    buffers: Vec<usize>,
    shared: usize,
    /// Images that a thread takes through the whole network at once.
    block: usize,
    /// Multiply-adds for one image.
    work: usize,
    output: Place,
    workspaces: std::sync::Mutex<Vec<Workspace>>,
}

impl std::fmt::Debug for Plan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let steps = self.images.len() + self.rows.len();
        f.debug_struct("Plan").field("steps", &steps).field("work", &self.work).finish_non_exhaustive()
    }
}
