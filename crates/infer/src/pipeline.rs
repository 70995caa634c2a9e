//! Work on a stream in threads, in constant memory, results in the stream's order. Knows nothing of what the work is.

use std::sync::mpsc::sync_channel;

/// Results that each thread may be ahead of the one that consumes them.
const AHEAD: usize = 8;

/// Does `work` in `threads` threads on each item that `feed` hands on, and gives the results to `consume` here, in the order of the
/// items. Holds at most `threads * (2 * AHEAD + 3)` items and results. The first error of `consume` ends it: `feed` should return when
/// it is told `false`.
pub(crate) fn ordered<T: Send, U: Send, E>(
    feed: impl FnOnce(&mut dyn FnMut(T) -> bool) + Send,
    threads: usize,
    work: impl Fn(T) -> U + Sync,
    mut consume: impl FnMut(U) -> Result<(), E>,
) -> Result<(), E> {
    let threads = threads.max(1);
    let work = &work;
    std::thread::scope(|scope| {
        // Thread i gets items i, i + threads, ...: taking results from the threads in turn gives them in order.
        let (mut inboxes, mut outboxes) = (Vec::new(), Vec::new());
        for _ in 0..threads {
            let (to_worker, inbox) = sync_channel::<T>(AHEAD);
            let (outbox, from_worker) = sync_channel::<U>(AHEAD);
            inboxes.push(to_worker);
            outboxes.push(from_worker);
            scope.spawn(move || inbox.into_iter().map(work).try_for_each(|result| outbox.send(result)));
        }
        scope.spawn(move || {
            let mut next = 0;
            feed(&mut |item| {
                let inbox = &inboxes[next];
                next = (next + 1) % threads;
                // A thread that hangs up has nobody left to work for.
                inbox.send(item).is_ok()
            });
        });
        for outbox in (0..threads).cycle() {
            match outboxes[outbox].recv() {
                Ok(result) => consume(result)?,
                Err(_) => break,
            }
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// Hands the items of an iterator on until told to stop.
    fn all<T>(items: impl Iterator<Item = T>) -> impl FnOnce(&mut dyn FnMut(T) -> bool) {
        |next| {
            for item in items {
                if !next(item) {
                    break;
                }
            }
        }
    }

    #[test]
    fn results_come_in_order_whatever_the_number_of_threads() {
        for threads in [0, 1, 2, 7] {
            for len in [0, 1, 6, 7, 8, 500] {
                let mut results = Vec::new();
                let work = |item: usize| {
                    // Uneven work, so that threads overtake one another.
                    (0..(item * 7919) % 1000).for_each(|_| std::hint::spin_loop());
                    item * 2
                };
                let done: Result<(), ()> = ordered(all(0..len), threads, work, |result| {
                    results.push(result);
                    Ok(())
                });
                assert_eq!((done, results), (Ok(()), (0..len).map(|item| item * 2).collect::<Vec<_>>()));
            }
        }
    }

    #[test]
    fn an_error_ends_an_endless_stream() {
        let mut seen = 0;
        let done = ordered(
            all(0..),
            3,
            |item: u64| item,
            |item| {
                seen += 1;
                if item == 1000 { Err("enough") } else { Ok(()) }
            },
        );
        assert_eq!((done, seen), (Err("enough"), 1001));
    }

    #[test]
    fn no_more_items_are_taken_than_the_bound() {
        let taken = AtomicUsize::new(0);
        let items = (0..100_000).inspect(|_| {
            taken.fetch_add(1, Ordering::SeqCst);
        });
        let done = ordered(
            all(items),
            2,
            |item: usize| item,
            |item| {
                let ahead = taken.load(Ordering::SeqCst) - item;
                assert!(ahead <= 2 * (2 * AHEAD + 3) + 1, "{ahead} items ahead");
                if item == 5000 { Err(()) } else { Ok(()) }
            },
        );
        assert_eq!(done, Err(()));
    }
}
