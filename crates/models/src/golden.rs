//! Made-up inputs with what the network answered where it was trained, carried in the model file: whoever loads it can see whether it
//! answers the same there.

use data::{Example, InputSpec, Inputs};
use serde::{Deserialize, Serialize};

/// Examples that a file may hold.
const MOST: usize = 16;
/// Inputs and outputs that belong together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(expecting = "an object with the keys `inputs` and `outputs`")]
pub struct Golden {
    /// Pictures or rows, 1 to 16.
    pub inputs: Vec<Example>,
    /// The network's outputs for each, before softmax or any other reading: `[inputs, outputs]`.
    pub outputs: Vec<Vec<f32>>,
}

impl Golden {
    /// By how much an output may differ, beside the largest of its example (or 1): what 32-bit floats leave open where sums are added in another
    /// order.
    pub const TOLERANCE: f32 = 1e-4;

    /// What a network that takes `input` answers now, if asked by `answer`. `None` where there are no examples for it, or an answer isn't finite.
    ///
    /// # Errors
    /// Those of `answer`.
    pub fn of<E>(input: &InputSpec, mut answer: impl FnMut(Inputs) -> Result<Vec<f32>, E>) -> Result<Option<Self>, E> {
        let inputs = Example::all(input);
        let mut outputs = Vec::with_capacity(inputs.len());
        for example in &inputs {
            // A recipe that its own examples don't fit can be trained with all the same.
            let Ok(example) = example.inputs(input) else { return Ok(None) };
            outputs.push(answer(example)?);
        }
        let finite = !inputs.is_empty() && outputs.iter().flatten().all(|output| output.is_finite());
        Ok(finite.then_some(Self { inputs, outputs }))
    }

    /// Whether a section that comes from a file can be compared with a network of `outputs` outputs.
    ///
    /// # Errors
    /// One line that says what is wrong.
    pub(crate) fn check(&self, outputs: usize) -> Result<(), String> {
        let (examples, answers) = (self.inputs.len(), self.outputs.len());
        if examples != answers || !(1..=MOST).contains(&examples) {
            return Err(format!("expected 1 to {MOST} inputs and as many outputs, found {examples} and {answers}"));
        }
        match self.outputs.iter().position(|row| row.len() != outputs || row.iter().any(|output| !output.is_finite())) {
            Some(at) => Err(format!("outputs of input {at}: expected {outputs} finite numbers")),
            None => Ok(()),
        }
    }

    /// How far `found` is from the outputs of example `at`: the largest difference, beside the largest of these outputs (or 1). NaN counts as
    /// infinite. They agree up to [`Self::TOLERANCE`].
    pub fn distance(&self, at: usize, found: &[f32]) -> f32 {
        let expected = self.outputs.get(at).map(Vec::as_slice).unwrap_or_default();
        if expected.len() != found.len() {
            return f32::INFINITY;
        }
        let scale = expected.iter().fold(1.0_f32, |most, output| most.max(output.abs()));
        let differences =
            expected.iter().zip(found).map(|(a, b)| if b.is_finite() { (a - b).abs() } else { f32::INFINITY });
        differences.fold(0.0, f32::max) / scale
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn golden(outputs: Vec<Vec<f32>>) -> Golden {
        Golden { inputs: vec![Example::Row(Vec::new()); outputs.len()], outputs }
    }

    #[test]
    fn distances_are_relative_to_the_largest_output_but_not_to_small_ones() {
        let golden = golden(vec![vec![100.0, -200.0], vec![1e-9, 0.0]]);
        assert_eq!(golden.distance(0, &[100.0, -202.0]), 0.01);
        assert_eq!(golden.distance(1, &[0.0, 0.5]), 0.5);
        assert_eq!(golden.distance(0, &[100.0, f32::NAN]), f32::INFINITY);
        assert_eq!(golden.distance(0, &[100.0]), f32::INFINITY);
        assert_eq!(golden.distance(2, &[100.0]), f32::INFINITY);
    }

    #[test]
    fn what_cannot_be_compared_is_refused() {
        assert_eq!(golden(vec![vec![1.0]]).check(1), Ok(()));
        assert!(golden(vec![vec![1.0]]).check(2).unwrap_err().contains("outputs of input 0: expected 2 finite"));
        assert!(golden(vec![vec![1.0], vec![f32::INFINITY]]).check(1).unwrap_err().contains("input 1"));
        assert!(golden(Vec::new()).check(1).unwrap_err().contains("found 0 and 0"));
        assert!(golden(vec![vec![1.0]; 17]).check(1).unwrap_err().contains("found 17 and 17"));
    }

    #[test]
    fn answers_that_arent_finite_are_not_carried() {
        let input = InputSpec::Table(data::TableSpec::default());
        let made = |output: f32| Golden::of::<()>(&input, |_| Ok(vec![output])).unwrap();
        assert_eq!(made(f32::NAN), None);
        assert_eq!(made(2.0).unwrap().outputs, vec![vec![2.0]; 3]);
        assert_eq!(Golden::of(&input, |_| Err("no device")), Err("no device"));
    }
}
