//! Numbered jobs that threads do ahead of their consumer, who gets the results in the order of the numbers, whatever the number of
//! threads. Owns the threads, their bound and their end; what a job does is the caller's.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{Builder, JoinHandle};

use crate::Error;
use crate::contain::message;

/// More threads than this are never started.
pub(crate) const MOST_WORKERS: usize = 64;

/// Does job number `n`. The flag says that nobody waits for the result any more: a long job may then return any error early.
type Job<T> = dyn Fn(usize, &AtomicBool) -> Result<T, Error> + Send + Sync;

/// The results of the jobs `next..end`, in order. The first error is the last result.
pub(crate) struct Ordered<T> {
    job: Arc<Job<T>>,
    next: usize,
    end: usize,
    workers: usize,
    running: Option<Running<T>>,
}

/// Worker `w` of `W` does the jobs `first + w`, `first + w + W`, and so on, into its own channel.
struct Running<T> {
    first: usize,
    stop: Arc<AtomicBool>,
    receivers: Vec<Receiver<Result<T, Error>>>,
    threads: Vec<Option<JoinHandle<()>>>,
}

impl<T: Send + 'static> Ordered<T> {
    /// The results of the jobs `0..end`. `workers` of 0 does each job when it is asked for; the threads of others start with the
    /// first request, and each of them holds two results at most: one that waits and one in the making.
    pub(crate) fn new(end: usize, workers: usize, job: Arc<Job<T>>) -> Self {
        Self { job, next: 0, end, workers: workers.min(MOST_WORKERS), running: None }
    }

    /// Leaves the next `n` jobs undone.
    pub(crate) fn skip_jobs(mut self, n: usize) -> Self {
        self.running = None;
        self.next = self.next.saturating_add(n).min(self.end);
        self
    }

    fn result(&mut self) -> Result<T, Error> {
        if self.workers == 0 {
            return (self.job)(self.next, &AtomicBool::new(false));
        }
        if self.running.is_none() {
            self.running = Some(Running::start(&self.job, self.next..self.end, self.workers)?);
        }
        match &mut self.running {
            Some(running) => running.receive(self.next),
            None => Err(Error::internal("the loader did not start")),
        }
    }
}

impl<T: Send + 'static> Iterator for Ordered<T> {
    type Item = Result<T, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.next >= self.end {
            self.running = None;
            return None;
        }
        let result = self.result();
        self.next = if result.is_ok() { self.next + 1 } else { self.end };
        Some(result)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, Some(self.end - self.next))
    }
}

impl<T: Send + 'static> Running<T> {
    fn start(job: &Arc<Job<T>>, jobs: std::ops::Range<usize>, workers: usize) -> Result<Self, Error> {
        let workers = workers.min(jobs.len());
        let stop = Arc::new(AtomicBool::new(false));
        let mut running = Self { first: jobs.start, stop, receivers: Vec::new(), threads: Vec::new() };
        for worker in 0..workers {
            let (sender, receiver) = sync_channel(1);
            let (job, stop, own) = (job.clone(), running.stop.clone(), jobs.clone().skip(worker).step_by(workers));
            let thread = Builder::new()
                .name(format!("loader {worker}"))
                .spawn(move || work(&*job, own, &sender, &stop))
                .map_err(|error| {
                    Error::internal(format!("a loader thread does not start: {error}; use fewer workers"))
                })?;
            running.receivers.push(receiver);
            running.threads.push(Some(thread));
        }
        Ok(running)
    }

    fn receive(&mut self, job: usize) -> Result<T, Error> {
        let worker = (job - self.first) % self.receivers.len();
        match self.receivers[worker].recv() {
            Ok(result) => result,
            // The channel closes before its time only when the thread has panicked.
            Err(_) => Err(Error::internal(match self.threads[worker].take().map(JoinHandle::join) {
                Some(Err(panic)) => format!("a loader thread panicked: {}", message(&*panic)),
                _ => "a loader thread ended early".into(),
            })),
        }
    }
}

impl<T> Drop for Running<T> {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // A thread that waits for room in its channel wakes up when the receiver goes.
        self.receivers.clear();
        for thread in self.threads.drain(..).flatten() {
            // A panic of a thread whose result nobody asked for concerns nobody.
            let _ = thread.join();
        }
    }
}

fn work<T>(job: &Job<T>, jobs: impl Iterator<Item = usize>, sender: &SyncSender<Result<T, Error>>, stop: &AtomicBool) {
    for number in jobs {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        let result = job(number, stop);
        let last = result.is_err();
        if sender.send(result).is_err() || last {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    fn numbers(
        end: usize,
        workers: usize,
        job: impl Fn(usize) -> Result<usize, Error> + Send + Sync + 'static,
    ) -> Ordered<usize> {
        Ordered::new(end, workers, Arc::new(move |n, _: &AtomicBool| job(n)))
    }

    /// Works a while, longer for some numbers than for others, so that threads overtake each other.
    fn uneven(n: usize) -> Result<usize, Error> {
        std::thread::sleep(std::time::Duration::from_micros((n * 7919 % 13) as u64 * 30));
        Ok(n)
    }

    #[test]
    fn results_come_in_order_for_any_number_of_workers() {
        for workers in [0, 1, 2, 3, 8, 100] {
            let found: Vec<usize> = numbers(50, workers, uneven).map(Result::unwrap).collect();
            assert_eq!(found, (0..50).collect::<Vec<_>>(), "{workers} workers");
        }
        assert_eq!(numbers(0, 4, uneven).count(), 0);
    }

    #[test]
    fn skipped_jobs_are_not_done() {
        for workers in [0, 1, 4] {
            let done = Arc::new(AtomicUsize::new(0));
            let count = done.clone();
            let jobs = numbers(20, workers, move |n| {
                count.fetch_add(1, Ordering::SeqCst);
                Ok(n)
            });
            let found: Vec<usize> = jobs.skip_jobs(15).map(Result::unwrap).collect();
            assert_eq!(found, (15..20).collect::<Vec<_>>());
            assert_eq!(done.load(Ordering::SeqCst), 5);
            assert_eq!(numbers(20, workers, Ok).skip_jobs(usize::MAX).count(), 0);
        }
    }

    #[test]
    fn an_error_comes_in_its_place_and_ends_the_row() {
        for workers in [0, 1, 2, 8] {
            let jobs = numbers(40, workers, |n| if n == 11 { Err(Error::internal("eleven")) } else { Ok(n) });
            let found: Vec<Result<usize, Error>> = jobs.collect();
            assert_eq!(found.len(), 12, "{workers} workers");
            assert!(found[..11].iter().enumerate().all(|(n, result)| matches!(result, Ok(m) if *m == n)));
            assert!(found[11].as_ref().unwrap_err().to_string().contains("eleven"));
        }
    }

    #[test]
    fn a_panic_of_a_thread_becomes_an_error_in_its_place() {
        for workers in [1, 2, 8] {
            let jobs = numbers(40, workers, |n| {
                assert!(n != 7, "seven is too much");
                Ok(n)
            });
            let found: Vec<Result<usize, Error>> = jobs.collect();
            assert_eq!(found.len(), 8);
            assert!(found[7].as_ref().unwrap_err().to_string().contains("seven is too much"));
        }
    }

    #[test]
    fn threads_stay_within_their_bound_and_end_with_the_row() {
        let done = Arc::new(AtomicUsize::new(0));
        let count = done.clone();
        let mut jobs = numbers(10_000, 3, move |n| {
            count.fetch_add(1, Ordering::SeqCst);
            Ok(n)
        });
        for n in 0..5 {
            assert_eq!(jobs.next().unwrap().unwrap(), n);
        }
        drop(jobs);
        // Five were taken; each thread held two at most, and none is left that could still count.
        let after = done.load(Ordering::SeqCst);
        assert!((5..=5 + 3 * 2).contains(&after), "{after}");
        assert_eq!(Arc::strong_count(&done), 1);
    }
}
