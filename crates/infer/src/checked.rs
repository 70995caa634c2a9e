//! Whether a model answers here as it did where it was trained: its golden inputs, through everything that a user's go through.

use models::Golden;
use serde::Serialize;

use crate::{Error, Predictor, Sample};

/// One golden input, answered again.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Checked {
    /// Its outputs where the model was trained, before softmax or any other reading.
    pub expected: Vec<f32>,
    /// Its outputs here.
    pub found: Vec<f32>,
    /// The largest difference, beside the largest expected output (or 1); infinite where an output isn't finite.
    pub distance: f32,
}

impl Checked {
    /// Whether the outputs are the same but for what the order of sums leaves open: a distance of at most 1e-4.
    pub fn agrees(&self) -> bool {
        self.distance <= Golden::TOLERANCE
    }
}

impl Predictor {
    /// Decodes the golden inputs of the model's file and answers them on this device, by the same functions as any other input. `None` where
    /// the file has none.
    ///
    /// # Errors
    /// If one of them is no input of this model, or the device fails.
    pub fn self_test(&self) -> Result<Option<Vec<Checked>>, Error> {
        self.golden().map(|golden| (0..golden.inputs.len()).map(|at| self.check(golden, at)).collect()).transpose()
    }

    fn check(&self, golden: &Golden, at: usize) -> Result<Checked, Error> {
        let inputs = golden.inputs[at].inputs(self.input()).map_err(|what| Error::Golden { at, what })?;
        let found = self.outputs(self.gather(&[Sample::made(inputs)])?)?;
        Ok(Checked { expected: golden.outputs[at].clone(), distance: golden.distance(at, &found), found })
    }
}
