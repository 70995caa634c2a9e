//! The windows of a pooling, and what of them lies on the map.

#[cfg(feature = "flex")]
use std::ops::Range;

/// Windows of `size` x `size`, `stride` apart: rows and columns that fill none are left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Rows and columns of a window.
    pub size: usize,
    /// Steps between windows.
    pub stride: usize,
    /// Rows and columns around the map that windows reach into, at most half of `size`; nothing in there is ever the greatest.
    pub padding: usize,
}

impl Window {
    /// Height and width after a map of `size`; `None` where no window fits.
    #[cfg(feature = "flex")]
    pub(crate) fn output(self, size: [usize; 2]) -> Option<[usize; 2]> {
        let along = |side: usize| Some((side + 2 * self.padding).checked_sub(self.size)? / self.stride + 1);
        Some([along(size[0])?, along(size[1])?])
    }

    /// Along one side, the first value that window number `at` meets, and which of its own places lie on a map of `side`.
    #[cfg(feature = "flex")]
    #[inline(always)]
    pub(crate) fn meets(self, at: usize, side: usize) -> (usize, Range<usize>) {
        let from = at * self.stride;
        let before = self.padding.saturating_sub(from);
        (from.saturating_sub(self.padding), before..self.size.min((side + self.padding).saturating_sub(from)))
    }
}
