//! Work on bodies that takes a processor's time: decoding images, parsing text. What is small is done at once; the rest goes to a bounded number of
//! threads, and isn't waited for without end.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Bytes;
use data::{ImageSpec, image};
use infer::{Exif, Sample};
use tokio::sync::Semaphore;

use super::loaded::Loaded;
use super::metrics::Metrics;
use super::problem::{Kind, Problem};

/// Bytes that are parsed where they arrived: a thread would take longer to wake up.
const SMALL_BODY: usize = 16 << 10;
/// Bytes of text that only one thread parses at a time: in memory JSON is many times as long.
const LARGE_BODY: usize = 1 << 20;
/// Pixels of which the same is true as of [`SMALL_BODY`].
const SMALL_IMAGE: u64 = 128 * 128;

/// Threads for decoding, and what they take on.
#[derive(Debug)]
pub(crate) struct Decoders {
    threads: Arc<Semaphore>,
    /// Who parses a large text.
    large: Arc<Semaphore>,
    pixels: u64,
    /// What becomes of the orientation of photos.
    pub(crate) exif: Exif,
    wait: Duration,
    metrics: Arc<Metrics>,
}

impl Decoders {
    /// `threads` at once; images of at most `pixels`, for at most `wait` each.
    pub(crate) fn new(threads: usize, pixels: u64, exif: Exif, wait: Duration, metrics: Arc<Metrics>) -> Self {
        let [threads, large] = [threads, 1].map(|most| Arc::new(Semaphore::new(most)));
        Self { threads, large, pixels, exif, wait, metrics }
    }

    /// Decodes the image file `bytes` for `model`. `name` stands for it in messages.
    pub(crate) async fn image(&self, name: &str, bytes: Bytes, model: &Arc<Loaded>) -> Result<Sample, Problem> {
        let started = Instant::now();
        let data::InputSpec::Image(spec) = model.predictor.input() else {
            return Err(Problem::new(Kind::WrongInput, "this model takes rows of a table, found an image"));
        };
        let small = bytes.len() <= SMALL_BODY && spec.height * spec.width <= SMALL_IMAGE as usize;
        let sample = if small && self.declared(name, &bytes)? <= SMALL_IMAGE {
            decode(name, &bytes, model, self.exif)
        } else {
            let (name, model) = (name.to_owned(), model.clone());
            let (most, exif) = (self.pixels, self.exif);
            self.thread(move || {
                check(&name, &bytes, most)?;
                decode(&name, &bytes, &model, exif)
            })
            .await
        };
        self.metrics.decoded.observe(started.elapsed().as_secs_f64());
        sample
    }

    fn declared(&self, name: &str, bytes: &[u8]) -> Result<u64, Problem> {
        check(name, bytes, self.pixels)
    }

    /// Does `work` on a body of `len` bytes.
    pub(crate) async fn parse<T: Send + 'static>(
        &self,
        len: usize,
        work: impl FnOnce() -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        if len <= SMALL_BODY {
            return work();
        }
        let alone = match self.large.clone() {
            large if len > LARGE_BODY => large.acquire_owned().await.ok(),
            _ => None,
        };
        let work = move || {
            let _alone = alone;
            work()
        };
        self.thread(work).await
    }

    /// Does `work` in one of the threads. One that isn't waited for any longer keeps its thread until it ends.
    async fn thread<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let permit =
            self.threads.clone().acquire_owned().await.map_err(|_| Problem::internal("the decoders are gone"))?;
        let running = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            work()
        });
        match tokio::time::timeout(self.wait, running).await {
            Ok(Ok(result)) => result,
            Ok(Err(error)) => Err(Problem::internal(format!("decoding failed: {error}"))),
            Err(_) => {
                let seconds = self.wait.as_secs_f64();
                Err(Problem::new(
                    Kind::DecodeTimeout,
                    format!("expected an input that can be decoded within {seconds} s (--decode-timeout)"),
                ))
            }
        }
    }
}

/// Pixels that the header of an image declares, if they aren't too many.
fn check(name: &str, bytes: &[u8], most: u64) -> Result<u64, Problem> {
    let header = image::probe_bytes(bytes, Path::new(name), Exif::Ignored).map_err(unreadable)?;
    let pixels = u64::from(header.width) * u64::from(header.height);
    if pixels > most {
        let detail = format!(
            "`{name}` declares {}x{} pixels, expected at most {most} (--max-pixels)",
            header.width, header.height
        );
        return Err(Problem::new(Kind::TooManyPixels, detail));
    }
    Ok(pixels)
}

fn decode(name: &str, bytes: &[u8], model: &Loaded, exif: Exif) -> Result<Sample, Problem> {
    Sample::image_bytes_as(Path::new(name), bytes, model.predictor.input(), exif).map_err(|error| match error {
        infer::Error::Data(error) => unreadable(error),
        error => Problem::new(Kind::WrongInput, error.to_string()),
    })
}

fn unreadable(error: data::Error) -> Problem {
    Problem::new(Kind::UnreadableInput, error.to_string())
}

/// Pixels of a picture that has the model's size already.
pub(crate) fn expected_pixels(spec: &ImageSpec) -> String {
    format!("{} x {} x {} numbers", spec.channels, spec.height, spec.width)
}
