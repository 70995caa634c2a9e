//! What the bits of a result depend on beside the numbers that go in: the instructions that the kernels choose, and the threads that sums
//! are cut for. Recorded with runs; nothing is decided by it.

/// The vectors that the CPU kernels compute with here: `avx512`, `avx2`, `neon`, `scalar`; `none` in a build without them.
pub fn vectors() -> &'static str {
    #[cfg(feature = "flex")]
    return match crate::product::arch() {
        pulp::Arch::Scalar => "scalar",
        #[cfg(target_arch = "x86_64")]
        pulp::Arch::V3(_) => "avx2",
        #[cfg(target_arch = "x86_64")]
        pulp::Arch::V4(_) => "avx512",
        #[cfg(target_arch = "aarch64")]
        pulp::Arch::Neon(_) => "neon",
        _ => "other",
    };
    #[cfg(not(feature = "flex"))]
    "none"
}

/// Shares operations between `threads` from now on, so that sums are cut as they were elsewhere. Without effect where the environment's
/// `RAYON_NUM_THREADS` decides, or after the first operation.
pub fn share_between(threads: usize) {
    if std::env::var_os("RAYON_NUM_THREADS").is_none() && threads > 0 {
        // Too late is no error: who cares asks `threads`.
        let _ = rayon::ThreadPoolBuilder::new().num_threads(threads.min(1024)).build_global();
    }
}

/// The threads that operations are shared between.
pub fn threads() -> usize {
    rayon::current_num_threads()
}
