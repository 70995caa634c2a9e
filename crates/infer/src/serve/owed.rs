//! What is owed to clients: requests that are being answered, and answers that aren't written to their end. The server's end waits for both.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Debts of one connection, and of all together.
#[derive(Clone, Debug, Default)]
pub(crate) struct Owed {
    all: Arc<AtomicUsize>,
    own: Arc<AtomicUsize>,
}

impl Owed {
    /// For another connection, which owes nothing yet.
    pub(crate) fn another(&self) -> Self {
        Self { all: self.all.clone(), own: Arc::default() }
    }

    /// One more, until what it returns is dropped.
    pub(crate) fn debt(&self) -> Debt {
        self.all.fetch_add(1, Ordering::SeqCst);
        self.own.fetch_add(1, Ordering::SeqCst);
        Debt(self.clone())
    }

    /// Debts of all connections.
    pub(crate) fn all(&self) -> usize {
        self.all.load(Ordering::SeqCst)
    }

    /// Whether this connection owes nothing.
    pub(crate) fn is_even(&self) -> bool {
        self.own.load(Ordering::SeqCst) == 0
    }
}

/// Something that is owed, counted.
#[derive(Debug)]
pub(crate) struct Debt(Owed);

impl Drop for Debt {
    fn drop(&mut self) {
        self.0.all.fetch_sub(1, Ordering::SeqCst);
        self.0.own.fetch_sub(1, Ordering::SeqCst);
    }
}
