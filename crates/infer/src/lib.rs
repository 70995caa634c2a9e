//! Puts a trained model file to work: [`Predictor`] and [`Sample`] to [`Prediction`].
//!
//! Owns the way from inputs to predictions, through the same functions as training. Leaves reading the model file to `models`, decoding
//! to `data`, the meaning of outputs to `tasks`. Prints nothing, picks no device; the binary of the same name does.
//!
//! ```no_run
//! let device = device::select("auto")?.device;
//! let predictor = infer::Predictor::load("runs/digits/weights/best.safetensors".as_ref(), &device)?;
//! for prediction in predictor.predict_files(&["a.png", "b.png"])? {
//!     println!("{:?}", prediction.top());
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod checked;
mod error;
mod explain;
mod layers;
mod predictor;

pub use checked::Checked;
pub use error::Error;
pub use explain::{Contribution, Evidence, Explain, Explained, Explanation, Heat, How};
pub use models::{Attribution, Baseline};
pub use predictor::{BATCH, Predictor, Sample};
pub use tasks::{Calibration, Prediction, Reading, Scored};
