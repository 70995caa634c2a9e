//! The one thread that runs the network, and the queue before it. What is queued goes through together, up to `--max-batch`; nothing waits for
//! company unless some is on its way and a run of its own would cost more than the wait, or requests stand in line for a place: then it is the
//! number of answers that counts, and each run costs threads that are woken. A network on the CPU uses all cores itself, so that a second
//! thread would only be in its way.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use infer::{Prediction, Sample};
use tokio::sync::oneshot;

use super::loaded::Loaded;
use super::metrics::Metrics;
use super::problem::{Kind, Problem};

/// Inputs on their way through the network of one model.
struct Job {
    model: Arc<Loaded>,
    samples: Vec<Sample>,
    answer: oneshot::Sender<Result<Vec<Prediction>, Problem>>,
    since: Instant,
}

/// What waits for the network.
#[derive(Debug)]
pub(crate) struct Engine {
    waiting: Mutex<Waiting>,
    wake: Condvar,
    /// Requests whose inputs are being decoded.
    coming: AtomicUsize,
    /// Requests that stand in line for a place among those that are worked on.
    in_line: AtomicUsize,
    limits: Limits,
    metrics: Arc<Metrics>,
}

/// How much goes through at once, how long it may wait for company, and how much may wait.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) batch: usize,
    /// What is worth a run where requests stand in line.
    pub(crate) enough: usize,
    pub(crate) delay: Duration,
    pub(crate) queue: usize,
}

#[derive(Default)]
struct Waiting {
    jobs: VecDeque<Job>,
    samples: usize,
    /// How many samples the thread waits for.
    wanted: usize,
    closed: bool,
}

impl std::fmt::Debug for Waiting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Waiting").field("samples", &self.samples).finish_non_exhaustive()
    }
}

/// A request that will soon submit inputs: a batch may wait for it.
#[derive(Debug)]
pub(crate) struct Coming<'a>(&'a Engine);

impl Drop for Coming<'_> {
    fn drop(&mut self) {
        if self.0.coming.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.0.wake.notify_one();
        }
    }
}

/// A request that stands in line for a place.
#[derive(Debug)]
pub(crate) struct InLine<'a>(&'a Engine);

impl Drop for InLine<'_> {
    fn drop(&mut self) {
        self.0.in_line.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Engine {
    /// Starts the thread; it ends after [`close`](Self::close).
    pub(crate) fn start(
        limits: Limits,
        metrics: Arc<Metrics>,
    ) -> std::io::Result<(Arc<Self>, std::thread::JoinHandle<()>)> {
        let (waiting, wake) = (Mutex::default(), Condvar::new());
        let (coming, in_line) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let engine = Arc::new(Self { waiting, wake, coming, in_line, limits, metrics });
        let runs = engine.clone();
        let thread = std::thread::Builder::new().name("network".into()).spawn(move || {
            while let Some(batch) = runs.next() {
                runs.answer(batch);
            }
        })?;
        Ok((engine, thread))
    }

    /// Announces inputs, until what it returns is dropped.
    pub(crate) fn announce(&self) -> Coming<'_> {
        self.coming.fetch_add(1, Ordering::Relaxed);
        Coming(self)
    }

    /// Says that a request stands in line, until what it returns is dropped.
    pub(crate) fn line_up(&self) -> InLine<'_> {
        self.in_line.fetch_add(1, Ordering::Relaxed);
        InLine(self)
    }

    /// Predicts `samples` of `model`. A large request goes through in parts, between which others have their turn.
    pub(crate) async fn predict(
        &self,
        model: &Arc<Loaded>,
        samples: Vec<Sample>,
        coming: Coming<'_>,
    ) -> Result<Vec<Prediction>, Problem> {
        let mut predictions = Vec::with_capacity(samples.len());
        let mut coming = Some(coming);
        let mut samples = samples.into_iter().peekable();
        while samples.peek().is_some() {
            let part: Vec<Sample> = samples.by_ref().take(self.limits.batch).collect();
            let mut part = Some(part);
            let answer = loop {
                let Some(samples) = part.take() else {
                    return Err(Problem::internal("a part of the request was lost"));
                };
                match self.submit(model.clone(), samples) {
                    Ok(answer) => break answer,
                    Err(_) if predictions.is_empty() => {
                        let detail =
                            format!("{} inputs wait for the network already (--queue); try again", self.limits.queue);
                        return Err(Problem::new(Kind::Overloaded, detail));
                    }
                    // Of a request that has been begun nothing is refused.
                    Err(samples) => {
                        part = Some(samples);
                        tokio::time::sleep(Duration::from_millis(2)).await;
                    }
                }
            };
            drop(coming.take());
            let answered = answer.await.map_err(|_| Problem::internal("the network's thread ended"))?;
            predictions.extend(answered?);
        }
        Ok(predictions)
    }

    /// Puts inputs into the queue; gives them back if it is full.
    fn submit(
        &self,
        model: Arc<Loaded>,
        samples: Vec<Sample>,
    ) -> Result<oneshot::Receiver<Result<Vec<Prediction>, Problem>>, Vec<Sample>> {
        let mut waiting = self.lock();
        if waiting.closed || waiting.samples > 0 && waiting.samples + samples.len() > self.limits.queue {
            return Err(samples);
        }
        let (answer, receiver) = oneshot::channel();
        waiting.samples += samples.len();
        self.metrics.queue.set(waiting.samples as i64);
        waiting.jobs.push_back(Job { model, samples, answer, since: Instant::now() });
        let is_due = waiting.samples >= waiting.wanted;
        drop(waiting);
        if is_due {
            self.wake.notify_one();
        }
        Ok(receiver)
    }

    /// Lets the thread end once the queue is empty.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.wake.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for inputs; `None` at the end.
    fn next(&self) -> Option<Vec<Job>> {
        let mut waiting = self.lock();
        waiting.wanted = 1;
        let (since, overhead) = loop {
            match waiting.jobs.front() {
                Some(job) => break (job.since, job.model.overhead),
                None if waiting.closed => return None,
                None => waiting = self.wake.wait(waiting).unwrap_or_else(PoisonError::into_inner),
            }
        };
        loop {
            let (wanted, delay) = self.company(overhead);
            let left = (since + delay).saturating_duration_since(Instant::now());
            if waiting.samples >= wanted || waiting.closed || left.is_zero() {
                break;
            }
            waiting.wanted = wanted;
            waiting = self.wake.wait_timeout(waiting, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        let batch = waiting.take(self.limits.batch);
        self.metrics.queue.set(waiting.samples as i64);
        Some(batch)
    }

    /// How many inputs a run waits for, and how long at most.
    fn company(&self, overhead: Duration) -> (usize, Duration) {
        let Limits { batch, enough, delay, .. } = self.limits;
        if self.in_line.load(Ordering::Relaxed) > 0 {
            return (enough, delay);
        }
        let some = self.coming.load(Ordering::Relaxed) > 0;
        (if some { batch } else { 1 }, delay.min(overhead))
    }

    fn answer(&self, jobs: Vec<Job>) {
        let Some(model) = jobs.first().map(|job| job.model.clone()) else { return };
        let (mut samples, mut counts, mut answers) = (Vec::new(), Vec::new(), Vec::new());
        let started = Instant::now();
        for job in jobs {
            self.metrics.waited.observe((started - job.since).as_secs_f64());
            counts.push(job.samples.len());
            samples.extend(job.samples);
            answers.push(job.answer);
        }
        self.metrics.batch.observe(samples.len() as f64);
        let predicted = catch_unwind(AssertUnwindSafe(|| model.predictor.predict(&samples)));
        self.metrics.network.observe(started.elapsed().as_secs_f64());
        let predictions = match predicted {
            Ok(Ok(predictions)) if predictions.len() == samples.len() => Ok(predictions),
            Ok(Ok(_)) => Err("the network answered another number of inputs".to_owned()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err("the network panicked".to_owned()),
        };
        match predictions {
            Ok(predictions) => {
                let mut predictions = predictions.into_iter();
                for (count, answer) in counts.into_iter().zip(answers) {
                    // Who has gone wants nothing any more.
                    let _ = answer.send(Ok(predictions.by_ref().take(count).collect()));
                }
            }
            Err(why) => answers.into_iter().for_each(|answer| _ = answer.send(Err(Problem::internal(why.clone())))),
        }
    }
}

impl Waiting {
    /// Takes the oldest jobs of one model, up to `most` inputs, or the oldest alone. Jobs that nobody waits for any more are dropped.
    fn take(&mut self, most: usize) -> Vec<Job> {
        let mut batch: Vec<Job> = Vec::new();
        let mut count = 0;
        while let Some(job) = self.jobs.pop_front() {
            let other = batch.first().is_some_and(|first| !Arc::ptr_eq(&first.model, &job.model));
            if other || !batch.is_empty() && count + job.samples.len() > most {
                self.jobs.push_front(job);
                break;
            }
            self.samples -= job.samples.len();
            if !job.answer.is_closed() {
                count += job.samples.len();
                batch.push(job);
            }
        }
        batch
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_waits_for_company_as_long_as_it_pays_and_longer_where_requests_stand_in_line() {
        let (delay, overhead) = (Duration::from_millis(2), Duration::from_micros(30));
        let engine = Engine {
            waiting: Mutex::default(),
            wake: Condvar::new(),
            coming: AtomicUsize::new(0),
            in_line: AtomicUsize::new(0),
            limits: Limits { batch: 256, enough: 32, delay, queue: 1024 },
            metrics: Arc::new(Metrics::new()),
        };
        assert_eq!(engine.company(overhead), (1, overhead), "nobody comes: what is there is run");
        let coming = engine.announce();
        assert_eq!(engine.company(overhead), (256, overhead));
        assert_eq!(engine.company(Duration::from_secs(1)), (256, delay), "--max-delay is the most");
        let in_line = engine.line_up();
        assert_eq!(engine.company(overhead), (32, delay));
        drop((coming, in_line));
        assert_eq!(engine.company(overhead), (1, overhead));
    }
}
