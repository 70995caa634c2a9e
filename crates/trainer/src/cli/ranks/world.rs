//! The ranks' link over MPI: the only file that names it. An error of MPI's own ends all processes, as it does by default; so does a panic
//! here, which the others would wait for.

use std::rc::Rc;

use anyhow::{Result, anyhow};
use mpi::Threading;
use mpi::environment::Universe;
use mpi::topology::SimpleCommunicator;
use mpi::traits::{Communicator, CommunicatorCollectives, Root};
use trainer::{Link, Ranks};

use crate::cli::failure::code;

/// All processes that `mpirun` has started; dropping it waits until the others drop theirs.
struct World {
    all: SimpleCommunicator,
    _universe: Universe,
}

/// Joins them.
pub(super) fn join() -> Result<Ranks> {
    let Some((universe, _)) = mpi::initialize_with_threading(Threading::Funneled) else {
        return Err(anyhow!("MPI was begun twice in one process"));
    };
    let all = universe.world();
    let (rank, size) = (all.rank() as usize, all.size() as usize);
    Ok(match size {
        1 => Ranks::alone(),
        _ => Ranks::joined(rank, size, Rc::new(World { all, _universe: universe })),
    })
}

impl Link for World {
    fn gather(&self, mine: &[u8], all: &mut [u8]) {
        self.all.all_gather_into(mine, all);
    }

    fn exchange(&self, mine: &[u8], theirs: &mut [u8]) {
        self.all.all_to_all_into(mine, theirs);
    }

    fn broadcast(&self, bytes: &mut [u8]) {
        self.all.process_at_rank(0).broadcast_into(bytes);
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.all.abort(i32::from(code::INTERNAL));
        }
    }
}
