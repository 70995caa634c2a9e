//! Predicting from another Rust program: `cargo run -p infer --example predict -- MODEL IMAGE...`

use std::error::Error;
use std::path::PathBuf;

use infer::{Prediction, Predictor};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let model = arguments.next().ok_or("usage: predict MODEL IMAGE...")?;
    let images: Vec<PathBuf> = arguments.collect();

    let device = device::select("auto")?.device;
    let predictor = Predictor::load(&model, &device)?;
    for (image, prediction) in images.iter().zip(predictor.predict_files(&images)?) {
        print!("{}: ", image.display());
        match prediction {
            Prediction::Class { ranked, .. } => println!("{} ({:.1}%)", ranked[0].name, 100.0 * ranked[0].probability),
            prediction @ Prediction::Labels { .. } => {
                let labels = prediction.labels();
                println!("{:?}", labels.into_iter().map(|label| &label.name).collect::<Vec<_>>());
            }
            Prediction::Values { values, .. } => println!("{values:?}"),
        }
    }
    Ok(())
}
