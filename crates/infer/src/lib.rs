//! Puts a trained model file to work: [`Predictor`] and [`Sample`] to [`Prediction`].
//!
//! Owns the way from inputs to predictions, through the same functions as training. Leaves reading the model file to `models`, decoding
//! to `data`, the meaning of outputs to `tasks`. Prints nothing, picks no device; the binary of the same name does.
//!
//! ```
//! let device = device::select("cpu")?.device;
//! let predictor = infer::Predictor::load("tests/released/v1/digits.safetensors".as_ref(), &device)?;
//! # std::fs::create_dir_all("../../target/tmp")?;
//! # let picture = "../../target/tmp/picture.pgm";
//! # std::fs::write(picture, [&b"P5 8 8 255\n"[..], &[0; 64]].concat())?;
//! for prediction in predictor.predict_files(&[picture])? {
//!     println!("{:?}", prediction.top());
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # From the caller's threads and bytes
//!
//! A [`Sample`] is an input that is decoded already: [`Sample::image_file`] and [`Sample::image_bytes`] need the model's recipe alone, so that
//! threads can decode while another one predicts. A [`Predictor`] is cheap to clone and holds its weights once.
//!
//! ```
//! use infer::{Prediction, Predictor, Sample};
//!
//! let predictor = Predictor::load("tests/released/v1/digits.safetensors".as_ref(), &device::select("cpu")?.device)?;
//! let recipe = predictor.input().clone();
//! let bytes = [&b"P5 8 8 255\n"[..], &[0; 64]].concat();
//! let sample = std::thread::spawn(move || Sample::image_bytes("upload".as_ref(), &bytes, &recipe)).join().unwrap()?;
//! match &predictor.predict(&[sample])?[0] {
//!     Prediction::Class { ranked, .. } => println!("{} {:.3}", ranked[0].name, ranked[0].probability),
//!     Prediction::Labels { scored, .. } => println!("{scored:?}"),
//!     Prediction::Values { values, .. } => println!("{values:?}"),
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # How sure, and whether it is the same model
//!
//! Probabilities are calibrated where the model was validated ([`Predictor::calibration`]); [`Predictor::with_coverage`] adds sets of classes or
//! intervals of numbers that hold the truth with a given probability. [`Predictor::self_test`] answers the inputs that the file carries and
//! compares with what was answered where it was trained.
//!
//! ```
//! # use infer::Predictor;
//! # let device = device::select("cpu")?.device;
//! let predictor = Predictor::load("tests/released/v1/penguins.safetensors".as_ref(), &device)?;
//! let checked = predictor.self_test()?.ok_or("this file has nothing to compare with")?;
//! assert!(checked.iter().all(|one| one.agrees()));
//! assert!(predictor.with_coverage(0.9)?.reading().limits.is_some());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod checked;
mod error;
mod explain;
pub mod export;
mod layers;
mod predictor;

pub use checked::Checked;
pub use data::image::Exif;
pub use error::Error;
pub use explain::{Contribution, Evidence, Explain, Explained, Explanation, Heat, How};
pub use models::{Attribution, Baseline};
pub use predictor::{BATCH, Predictor, Sample};
pub use tasks::{Calibration, Prediction, Reading, Scored};
