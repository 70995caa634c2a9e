//! Others' decoders on bytes that come from anywhere: a panic in one becomes an error, so that a file can end no process. What the error says
//! of the file is the caller's.

use std::any::Any;
use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

thread_local! {
    /// Whether this thread's panics are caught here, and so are nobody else's business.
    static CONTAINED: Cell<bool> = const { Cell::new(false) };
}

/// Runs `work`; of a panic in it nothing is left but its message.
///
/// # Errors
/// With the panic's message, in one line.
pub fn contain<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    static ONCE: Once = Once::new();
    // In a destructor that runs because of a panic the system refuses another hook.
    if !std::thread::panicking() {
        ONCE.call_once(hush);
    }
    let before = CONTAINED.replace(true);
    let outcome = panic::catch_unwind(AssertUnwindSafe(work));
    CONTAINED.set(before);
    outcome.map_err(|cause| message(&*cause).split_whitespace().collect::<Vec<_>>().join(" "))
}

/// Keeps panics that are contained from the process's hook, which is otherwise asked as before. One that a program sets later is asked
/// about all.
fn hush() {
    let hook = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        // Where the thread is ending there is nothing left to look up.
        if !CONTAINED.try_with(Cell::get).unwrap_or(false) {
            hook(panic);
        }
    }));
}

/// What a panic said.
pub(crate) fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("without a message")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn a_contained_panic_is_its_message_and_other_panics_still_reach_the_hook_of_the_program() {
        assert_eq!(contain(|| 7), Ok(7));
        let heard = Arc::new(AtomicUsize::new(0));
        let (counts, earlier) = (heard.clone(), panic::take_hook());
        panic::set_hook(Box::new(move |panic| match message(panic.payload()) {
            "of this\n test" => _ = counts.fetch_add(1, Ordering::SeqCst),
            _ => earlier(panic),
        }));
        // As the first call does, above the hook that the program has by then.
        hush();
        let within = || contain::<()>(|| panic!("{}", "of this\n test"));
        assert_eq!(within(), Err("of this test".to_owned()));
        assert_eq!(contain(within), Ok(Err("of this test".to_owned())));
        assert_eq!(heard.load(Ordering::SeqCst), 0);
        assert!(panic::catch_unwind(|| panic!("{}", "of this\n test")).is_err());
        assert_eq!(heard.load(Ordering::SeqCst), 1);
    }
}
