//! Weights in the order in which the micro-kernel reads them.

use crate::product::panel_width;

/// Weights in panels: for each panel the rows k, each of [`panel_width`] columns, the last panel filled up with zeros.
pub(crate) struct Packed {
    values: Vec<f32>,
}

impl Packed {
    /// Packs `[steps, columns]`, of which `at(k, j)` gives the values.
    pub(crate) fn new(steps: usize, columns: usize, at: impl Fn(usize, usize) -> f32) -> Self {
        let width = panel_width();
        let panels = columns.div_ceil(width);
        let mut values = vec![0.0; panels * steps * width];
        for (panel, values) in values.chunks_exact_mut((steps * width).max(1)).enumerate() {
            let first = panel * width;
            let held = (columns - first).min(width);
            for (k, row) in values.chunks_exact_mut(width).enumerate() {
                for (j, value) in row[..held].iter_mut().enumerate() {
                    *value = at(k, first + j);
                }
            }
        }
        Self { values }
    }

    #[cfg(test)]
    /// The values, as [`Product::packed`] expects them.
    pub(crate) fn values(&self) -> &[f32] {
        &self.values
    }

    /// The values alone.
    pub(crate) fn into_values(self) -> Vec<f32> {
        self.values
    }
}
