//! Zeros around a map.

use super::geometry::Margins;

/// Calls `body` with the map in its margins: the map itself where there are none.
pub(crate) fn with<R>(
    map: &[f32],
    size: [usize; 2],
    channels: usize,
    margins: Margins,
    body: impl FnOnce(&[f32]) -> R,
) -> R {
    if margins.size == size {
        return body(map);
    }
    crate::scratch::with(margins.len(channels), |padded| {
        let row = size[1] * channels;
        let before = margins.place([0, 0], channels);
        padded[..before].fill(0.0);
        for line in 0..size[0] {
            let (at, next) = (margins.place([line, 0], channels), margins.place([line + 1, 0], channels));
            padded[at..at + row].copy_from_slice(&map[line * row..(line + 1) * row]);
            // What is right of this row and left of the next.
            let end = next.min(padded.len());
            padded[at + row..end].fill(0.0);
        }
        let end = margins.place([size[0], 0], channels).min(padded.len());
        padded[end..].fill(0.0);
        body(padded)
    })
}
