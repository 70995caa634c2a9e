//! Where the values of a map lie in a buffer: channels-last, with margins of zeros around it that the next convolution reaches into.

/// A map in its margins. A row of features is a map of one pixel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Map {
    pub(super) channels: usize,
    /// Rows and columns.
    pub(super) size: [usize; 2],
    /// Zeros (before, after) the rows and the columns.
    pub(super) margins: [(usize, usize); 2],
}

impl Map {
    pub(super) fn new(channels: usize, size: [usize; 2]) -> Self {
        Self { channels, size, margins: [(0, 0); 2] }
    }

    /// From a row to the next.
    pub(super) fn pitch(&self) -> usize {
        let [_, (before, after)] = self.margins;
        (before + self.size[1] + after) * self.channels
    }

    /// Values with the margins.
    pub(super) fn len(&self) -> usize {
        let [(before, after), _] = self.margins;
        (before + self.size[0] + after) * self.pitch()
    }

    /// Values without the margins.
    pub(super) fn values(&self) -> usize {
        self.size[0] * self.size[1] * self.channels
    }

    /// Values of a row without its margins.
    pub(super) fn line(&self) -> usize {
        self.size[1] * self.channels
    }

    /// Where a row begins, behind its margin.
    pub(super) fn row(&self, row: usize) -> usize {
        let [(above, _), (left, _)] = self.margins;
        (above + row) * self.pitch() + left * self.channels
    }

    /// The rows of a map, without their margins.
    pub(super) fn lines<'a>(&self, values: &'a [f32]) -> impl Iterator<Item = &'a [f32]> + use<'a> {
        let line = self.line();
        values[self.row(0)..].chunks(self.pitch().max(1)).take(self.size[0]).map(move |row| &row[..line])
    }

    /// The rows of a map, without their margins.
    pub(super) fn lines_mut<'a>(&self, values: &'a mut [f32]) -> impl Iterator<Item = &'a mut [f32]> + use<'a> {
        let line = self.line();
        values[self.row(0)..].chunks_mut(self.pitch().max(1)).take(self.size[0]).map(move |row| &mut row[..line])
    }

    /// Makes the margins zero.
    pub(super) fn clear(&self, values: &mut [f32]) {
        if self.margins == [(0, 0); 2] {
            return;
        }
        let values = &mut values[..self.len()];
        let mut from = 0;
        for row in 0..self.size[0] {
            values[from..self.row(row)].fill(0.0);
            from = self.row(row) + self.line();
        }
        values[from..].fill(0.0);
    }
}
