//! Ranks that are threads of one process: what the ranks say to each other is tested without an MPI.

use std::rc::Rc;
use std::sync::{Arc, Barrier, Mutex};

use super::{Link, Ranks};

/// One rank of those that meet at a table.
struct Seat {
    rank: usize,
    table: Arc<Table>,
}

struct Table {
    barrier: Barrier,
    /// What each has put there.
    places: Mutex<Vec<Vec<u8>>>,
}

impl Seat {
    /// Puts `mine` on the table, and takes from all that lies there.
    fn meet(&self, mine: &[u8], take: impl FnOnce(&[Vec<u8>])) {
        self.table.places.lock().unwrap()[self.rank] = mine.to_vec();
        self.table.barrier.wait();
        take(&self.table.places.lock().unwrap());
        self.table.barrier.wait();
    }
}

impl Link for Seat {
    fn gather(&self, mine: &[u8], all: &mut [u8]) {
        self.meet(mine, |places| all.copy_from_slice(&places.concat()));
    }

    fn exchange(&self, mine: &[u8], theirs: &mut [u8]) {
        self.meet(mine, |places| {
            let part = mine.len() / places.len();
            let parts: Vec<&[u8]> = places.iter().map(|place| &place[self.rank * part..][..part]).collect();
            theirs.copy_from_slice(&parts.concat());
        });
    }

    fn broadcast(&self, bytes: &mut [u8]) {
        let mine = bytes.to_vec();
        self.meet(&mine, |places| bytes.copy_from_slice(&places[0]));
    }
}

/// What `body` returns on each of `size` ranks.
pub(crate) fn among<T: Send>(size: usize, body: impl Fn(Ranks) -> T + Sync) -> Vec<T> {
    let table = Arc::new(Table { barrier: Barrier::new(size), places: Mutex::new(vec![Vec::new(); size]) });
    std::thread::scope(|scope| {
        let (table, body) = (&table, &body);
        let threads: Vec<_> = (0..size)
            .map(|rank| {
                scope.spawn(move || {
                    let link = Rc::new(Seat { rank, table: table.clone() });
                    body(Ranks::joined(rank, size, link))
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}
