//! Memory for results, without the pass over it that fills it with zeros.

use std::mem::MaybeUninit;

/// A vector of `len` values, which `write` writes.
///
/// # Safety
/// `write` must write every value.
pub(crate) unsafe fn fresh<T: Copy>(len: usize, write: impl FnOnce(&mut [MaybeUninit<T>])) -> Vec<T> {
    let mut values = Vec::with_capacity(len);
    write(&mut values.spare_capacity_mut()[..len]);
    // SAFETY: the capacity is `len` at least, and the caller answers for the values.
    unsafe { values.set_len(len) };
    values
}
