//! Threads that share one small piece of work after another: a network's step on a single image takes microseconds, less than it takes
//! to wake a sleeping thread. Helpers keep looking for the next step for a moment before they sleep, and the caller does itself what
//! nobody has begun; so sharing never waits for a thread to wake up. Which parts there are is the caller's matter, never that of who
//! came first: equal parts give equal bits.

use std::cell::UnsafeCell;
use std::hint::spin_loop;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

/// How long a helper looks for more work before it sleeps.
const AWAKE: Duration = Duration::from_micros(100);
/// Looks between two glances at the clock.
const LOOKS: usize = 64;

type Body<'a> = dyn Fn(usize) + Sync + 'a;

/// How many threads can share work, the caller among them.
pub(crate) fn members() -> usize {
    team().helpers.len() + 1
}

/// Runs `body` once for each of `0..parts`, on several threads where they are free, and returns when all are done.
pub(crate) fn share(parts: usize, body: &Body<'_>) {
    let team = team();
    if parts < 2 || parts > members() || team.busy.swap(true, Ordering::Acquire) {
        return (0..parts).for_each(body);
    }
    let result = team.share(parts, body);
    team.busy.store(false, Ordering::Release);
    if let Err(panic) = result {
        resume_unwind(panic);
    }
}

fn team() -> &'static Team {
    static TEAM: OnceLock<Team> = OnceLock::new();
    TEAM.get_or_init(|| {
        let threads = crate::threads().min(1024);
        Team {
            busy: AtomicBool::new(false),
            job: AtomicU64::new(0),
            parts: AtomicUsize::new(0),
            done: AtomicUsize::new(0),
            panicked: AtomicBool::new(false),
            body: UnsafeCell::new(None),
            claims: (0..threads).map(|_| Claim(AtomicU64::new(0))).collect(),
            helpers: (1..threads).map(|_| Helper { asleep: AtomicBool::new(false), thread: OnceLock::new() }).collect(),
        }
    })
}

struct Team {
    /// Whether somebody shares work right now.
    busy: AtomicBool,
    /// The number of the newest job.
    job: AtomicU64,
    /// Its parts, and how many of them are done.
    parts: AtomicUsize,
    done: AtomicUsize,
    panicked: AtomicBool,
    /// What the job does with a part. Written while no part can be claimed.
    body: UnsafeCell<Option<&'static Body<'static>>>,
    claims: Vec<Claim>,
    helpers: Vec<Helper>,
}

/// Who may do a part: twice the job's number while it is free, one more once it is taken. The numbers never come back, so that a
/// helper that was late for one job cannot take a part of the next one for it.
#[repr(align(128))]
struct Claim(AtomicU64);

struct Helper {
    asleep: AtomicBool,
    thread: OnceLock<Thread>,
}

// SAFETY: all fields but `body` are `Sync`. `body` is written only by the thread that has set `busy`, before it frees the claims of a
// new job (Release), when every part of the job before is done; it is read only by a thread that has taken such a claim (Acquire), and
// that part isn't done before the thread has finished with the body.
unsafe impl Sync for Team {}

impl Team {
    fn share(&'static self, parts: usize, body: &Body<'_>) -> thread::Result<()> {
        let job = self.job.load(Ordering::Relaxed) + 1;
        // SAFETY: for the lifetime see `Sync` above: nobody uses the body after `done` has reached `parts`, which is awaited below,
        // also after a panic. For the write: `busy` is ours, and no part of an earlier job is under way.
        unsafe { *self.body.get() = Some(std::mem::transmute::<&Body<'_>, &'static Body<'static>>(body)) };
        self.done.store(0, Ordering::Relaxed);
        self.parts.store(parts, Ordering::Relaxed);
        for claim in &self.claims[..parts] {
            claim.0.store(2 * job, Ordering::Release);
        }
        self.job.store(job, Ordering::SeqCst);
        for (index, helper) in self.helpers[..parts - 1].iter().enumerate() {
            let thread = helper.thread.get_or_init(|| self.spawn(index + 1));
            if helper.asleep.swap(false, Ordering::SeqCst) {
                thread.unpark();
            }
        }
        let mut panic = self.work(job, 0, parts).err();
        for look in 0.. {
            if self.done.load(Ordering::Acquire) == parts {
                break;
            }
            // Whoever has the last part may have lost its processor to another program.
            if look < 20 * LOOKS { spin_loop() } else { thread::yield_now() }
        }
        if self.panicked.swap(false, Ordering::Relaxed) && panic.is_none() {
            panic = Some(Box::new("a thread of the team panicked"));
        }
        panic.map_or(Ok(()), Err)
    }

    /// Does the parts of a job that nobody else has begun, from `first` on.
    fn work(&self, job: u64, first: usize, parts: usize) -> thread::Result<()> {
        let mut result = Ok(());
        for part in (0..parts).map(|part| (first + part) % parts) {
            let claim = &self.claims[part].0;
            if claim.compare_exchange(2 * job, 2 * job + 1, Ordering::AcqRel, Ordering::Relaxed).is_err() {
                continue;
            }
            // SAFETY: the part is ours and not done, so the body is that of this job and stays; see `Sync`.
            let body = unsafe { *self.body.get() };
            let done = catch_unwind(AssertUnwindSafe(|| body.into_iter().for_each(|body| body(part))));
            if done.is_err() {
                // Before the part counts as done: whoever waits for that looks here next.
                self.panicked.store(true, Ordering::Relaxed);
            }
            result = result.and(done);
            self.done.fetch_add(1, Ordering::Release);
        }
        result
    }

    fn spawn(&'static self, index: usize) -> Thread {
        let name = format!("kernels-{index}");
        let spawned = thread::Builder::new().name(name).spawn(move || self.help(index));
        // Without a helper the caller does everything itself; unparking its own thread costs nothing.
        spawned.map_or_else(|_| thread::current(), |handle| handle.thread().clone())
    }

    /// The life of a helper.
    fn help(&self, index: usize) {
        let helper = &self.helpers[index - 1];
        let mut seen = 0;
        loop {
            let job = self.wait(seen, helper);
            seen = job;
            let parts = self.parts.load(Ordering::Relaxed).min(self.claims.len());
            if index < parts {
                // What a part panicked with, the caller learns from the flag.
                drop(self.work(job, index, parts));
            }
        }
    }

    /// The number of a job newer than `seen`.
    fn wait(&self, seen: u64, helper: &Helper) -> u64 {
        loop {
            let began = Instant::now();
            while began.elapsed() < AWAKE {
                for _ in 0..LOOKS {
                    let job = self.job.load(Ordering::Acquire);
                    if job != seen {
                        return job;
                    }
                    spin_loop();
                }
            }
            helper.asleep.store(true, Ordering::SeqCst);
            // A job that came in between has either been seen here or sees that we sleep.
            if self.job.load(Ordering::SeqCst) == seen {
                thread::park();
            }
            helper.asleep.store(false, Ordering::SeqCst);
        }
    }
}

/// A slice of which parts on several threads change disjoint ranges.
pub(crate) struct Split<'a> {
    start: *mut f32,
    len: usize,
    held: std::marker::PhantomData<&'a mut [f32]>,
}

// SAFETY: `range` alone gives access, and whoever calls it promises that no two threads have the same values.
unsafe impl Sync for Split<'_> {}

impl<'a> Split<'a> {
    pub(crate) fn new(values: &'a mut [f32]) -> Self {
        Self { start: values.as_mut_ptr(), len: values.len(), held: std::marker::PhantomData }
    }

    /// # Safety
    /// Ranges that are in use at the same time must not overlap.
    #[expect(clippy::mut_from_ref, reason = "the values are borrowed mutably for as long as this lives; see Safety")]
    pub(crate) unsafe fn range(&self, range: std::ops::Range<usize>) -> &mut [f32] {
        assert!(range.start <= range.end && range.end <= self.len, "{range:?} of {} values", self.len);
        // SAFETY: inside of the slice that was borrowed mutably; alone there by the caller's promise.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(range.start), range.end - range.start) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_is_done_once_before_sharing_ends() {
        let threads = members();
        for round in 0..20_000 {
            let parts = round % threads + 1;
            let counts: Vec<AtomicUsize> = (0..parts).map(|_| AtomicUsize::new(0)).collect();
            share(parts, &|part| {
                counts[part].fetch_add(1, Ordering::Relaxed);
            });
            assert!(counts.iter().all(|count| count.load(Ordering::Relaxed) == 1));
        }
    }

    #[test]
    fn callers_at_the_same_time_and_callers_within_a_part_get_their_own() {
        thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    for _ in 0..2000 {
                        let sum = AtomicUsize::new(0);
                        share(members(), &|part| {
                            share(2, &|inner| {
                                sum.fetch_add(part + inner, Ordering::Relaxed);
                            })
                        });
                        assert_eq!(sum.into_inner(), (0..members()).map(|part| 2 * part + 1).sum::<usize>());
                    }
                });
            }
        });
    }

    #[test]
    fn a_panic_in_a_part_reaches_the_caller_and_leaves_a_working_team() {
        for bad in 0..members() {
            let shared = catch_unwind(|| share(members(), &|part| assert_ne!(part, bad)));
            assert!(shared.is_err());
        }
        let sum = AtomicUsize::new(0);
        share(members(), &|_| {
            sum.fetch_add(1, Ordering::Relaxed);
        });
        assert_eq!(sum.into_inner(), members());
    }
}
