//! The windows of a maximum pooling.

/// Windows of `size` x `size`, `stride` apart, without padding: rows and columns that fill none are left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaxPool {
    /// Rows and columns of a window.
    pub size: usize,
    /// Steps between windows.
    pub stride: usize,
}

impl MaxPool {
    /// Height and width after a map of `size`; `None` where no window fits.
    #[cfg(feature = "flex")]
    pub(crate) fn output(self, size: [usize; 2]) -> Option<[usize; 2]> {
        let along = |side: usize| Some(side.checked_sub(self.size)? / self.stride + 1);
        Some([along(size[0])?, along(size[1])?])
    }
}
