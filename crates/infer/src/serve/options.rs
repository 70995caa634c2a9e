//! The options of `infer serve`, and what each part of the server is told of them.

use std::path::PathBuf;
use std::time::Duration;

use burn::tensor::Device;

use super::loaded::Origin;
use super::{connections, engine, log};
use crate::exif::Photos;
use crate::failure::Failure;
use crate::predict::{positive, share};
use crate::runs;

/// Serve a model over HTTP: predictions, metrics, and a page to try it
#[derive(Debug, clap::Args)]
pub(crate) struct Serve {
    /// A model file, or the folder of a run, whose weights/best.safetensors is taken
    model: PathBuf,
    /// Address and port to listen on; port 0 takes a free one. 0.0.0.0:8000 is open to others: set a token
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8000")]
    pub(super) bind: String,
    /// What clients call the model; without it the name of the run's folder, or of the file
    #[arg(long, value_name = "NAME", value_parser = name)]
    name: Option<String>,
    /// A file whose first line is the token that clients must send (Authorization: Bearer TOKEN); without it STRIATE_TOKEN in the
    /// environment is the token itself
    #[arg(long, value_name = "FILE")]
    pub(super) token_file: Option<PathBuf>,
    /// Classes to write for each input, the most probable first, unless a request asks for another number
    #[arg(long, value_name = "K", default_value_t = 3, value_parser = positive)]
    top_k: usize,
    /// Also answer with a set of classes, or with an interval, that holds the truth with this probability, such as 0.95
    #[arg(long, value_name = "SHARE", value_parser = share, conflicts_with = "no_calibration")]
    coverage: Option<f64>,
    /// Probabilities as the network was trained to give them: without the temperature that validation found
    #[arg(long)]
    no_calibration: bool,
    #[command(flatten)]
    pub(super) photos: Photos,
    /// auto, cpu, flex, ndarray, cuda, metal, vulkan, wgpu; with :N for one of several
    #[arg(long, env = "STRIATE_DEVICE", value_name = "NAME", default_value = "auto")]
    pub(super) device: String,
    /// Inputs of different requests that go through the network at once
    #[arg(long, value_name = "N", default_value_t = infer::BATCH, value_parser = positive)]
    max_batch: usize,
    /// Milliseconds that an input waits for others at most; none where nothing else is on its way, or waiting doesn't pay
    #[arg(long, value_name = "MS", default_value = "2", value_parser = milliseconds)]
    max_delay: Duration,
    /// Threads that decode images; without it one for each processor
    #[arg(long, value_name = "N", value_parser = positive)]
    workers: Option<usize>,
    /// Bytes that a request's body may have: 16M, 512K
    #[arg(long, value_name = "BYTES", default_value = "16M", value_parser = bytes)]
    pub(super) max_body: usize,
    /// Pixels that an image may declare
    #[arg(long, value_name = "N", default_value_t = 50_000_000, value_parser = clap::value_parser!(u64).range(1..=data::image::MAX_PIXELS))]
    pub(super) max_pixels: u64,
    /// Inputs that a request may hold
    #[arg(long, value_name = "N", default_value_t = 1024, value_parser = positive)]
    pub(super) max_inputs: usize,
    /// Requests that are answered at once; more get 503
    #[arg(long, value_name = "N", default_value_t = 512, value_parser = positive)]
    pub(super) max_requests: usize,
    /// Inputs that may wait for the network; requests beyond get 503
    #[arg(long, value_name = "N", default_value_t = 2048, value_parser = positive)]
    queue: usize,
    /// Connections that may be open; more get 503
    #[arg(long, value_name = "N", default_value_t = 8192, value_parser = positive)]
    pub(super) max_connections: usize,
    /// Seconds for the headers of a request, and between two requests of a connection
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    header_timeout: Duration,
    /// Seconds for the body of a request
    #[arg(long, value_name = "SECONDS", default_value = "20", value_parser = seconds)]
    pub(super) body_timeout: Duration,
    /// Seconds for decoding one image
    #[arg(long, value_name = "SECONDS", default_value = "5", value_parser = seconds)]
    pub(super) decode_timeout: Duration,
    /// Seconds from a request's body to its answer
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = seconds)]
    pub(super) timeout: Duration,
    /// Seconds that requests may still take after SIGTERM or Ctrl-C
    #[arg(long, value_name = "SECONDS", default_value = "20", value_parser = any_seconds)]
    drain: Duration,
    /// Seconds that connections are still accepted after SIGTERM or Ctrl-C, while /readyz answers 503 already
    #[arg(long, value_name = "SECONDS", default_value = "0.5", value_parser = any_seconds)]
    linger: Duration,
    /// Seconds between two looks at the model's file: a changed one is served from then on; 0 for SIGHUP alone
    #[arg(long, value_name = "SECONDS", default_value = "1", value_parser = any_seconds)]
    pub(super) watch: Duration,
    /// How requests are logged to standard error
    #[arg(long, value_enum, default_value_t = log::Style::Auto)]
    pub(super) log: log::Style,
}

impl Serve {
    /// Where the model comes from, and how it answers.
    pub(super) fn origin(&self, device: Device) -> Result<Origin, Failure> {
        let path = runs::model_file(&self.model)?;
        // A file is called as it is, a run's by the run.
        let named = if self.model.is_dir() { self.model.canonicalize().ok() } else { Some(self.model.clone()) };
        let stem = |named: PathBuf| {
            let part = if self.model.is_dir() { named.file_name() } else { named.file_stem() };
            part.map(|part| part.to_string_lossy().into_owned())
        };
        let name = self.name.clone().or_else(|| named.and_then(stem)).unwrap_or_else(|| "model".into());
        Ok(Origin {
            path,
            name,
            device,
            batch: self.max_batch,
            top: self.top_k,
            coverage: self.coverage,
            calibrated: !self.no_calibration,
            exif: self.photos.exif(),
        })
    }

    pub(super) fn batching(&self) -> engine::Limits {
        engine::Limits {
            batch: self.max_batch,
            enough: self.max_batch.min(self.max_requests / 2).max(1),
            delay: self.max_delay,
            queue: self.queue,
        }
    }

    pub(super) fn connections(&self, most: usize) -> connections::Limits {
        connections::Limits { connections: most, head: self.header_timeout, linger: self.linger, drain: self.drain }
    }

    pub(super) fn threads(&self) -> usize {
        self.workers.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from))
    }
}

fn name(text: &str) -> Result<String, String> {
    let sane = !text.is_empty()
        && text.len() <= 100
        && !text.contains(|letter: char| letter.is_control() || "/\\".contains(letter));
    if sane { Ok(text.to_owned()) } else { Err("expected up to 100 bytes without slashes".into()) }
}

/// A whole number with `K`, `M` or `G` for the powers of 1024.
fn bytes(text: &str) -> Result<usize, String> {
    let number = text.trim_end_matches(['K', 'M', 'G']);
    let power = match &text[number.len()..] {
        "" => 0,
        "K" => 10,
        "M" => 20,
        "G" => 30,
        _ => return Err("expected a number with K, M or G, such as 16M".into()),
    };
    let count = number.parse::<usize>().ok().and_then(|number| number.checked_mul(1 << power));
    count.filter(|count| (1..=1 << 30).contains(count)).ok_or_else(|| "expected 1 to 1G bytes, such as 16M".into())
}

fn milliseconds(text: &str) -> Result<Duration, String> {
    let number = text.parse::<f64>().ok().filter(|number| (0.0..=10_000.0).contains(number));
    number.map(|number| Duration::from_secs_f64(number / 1e3)).ok_or_else(|| "expected 0 to 10000 milliseconds".into())
}

fn any_seconds(text: &str) -> Result<Duration, String> {
    let number = text.parse::<f64>().ok().filter(|number| (0.0..=86_400.0).contains(number));
    number.map(Duration::from_secs_f64).ok_or_else(|| "expected 0 to 86400 seconds".into())
}

fn seconds(text: &str) -> Result<Duration, String> {
    any_seconds(text)
        .ok()
        .filter(|time| *time >= Duration::from_millis(10))
        .ok_or_else(|| "expected 0.01 to 86400 seconds".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units_of_1024() {
        assert_eq!((bytes("16M"), bytes("1K"), bytes("7")), (Ok(16 << 20), Ok(1024), Ok(7)));
        for text in ["", "0", "2G", "1MM", "-1", "1.5M", "M", "16m", "99999999999999999999"] {
            assert!(bytes(text).is_err(), "{text}");
        }
        assert!(
            milliseconds("NaN").is_err()
                && seconds("0").is_err()
                && any_seconds("0").is_ok()
                && any_seconds("inf").is_err()
        );
    }
}
