//! The arithmetic of a convolution: which value meets which weight, forward and backward, as tables for `product`.

use burn::tensor::ops::ConvOptions;

use crate::product::{Product, Row, Step};

/// A convolution of known shape. Pairs are (rows, columns).
#[derive(Clone, Debug)]
pub(crate) struct Geometry {
    /// Channels before and after.
    pub(crate) inputs: usize,
    pub(crate) outputs: usize,
    pub(crate) groups: usize,
    pub(crate) input: [usize; 2],
    pub(crate) kernel: [usize; 2],
    pub(crate) output: [usize; 2],
    stride: [usize; 2],
    dilation: [usize; 2],
    /// Zeros before and after.
    padding: [(usize, usize); 2],
}

/// A map with margins of zeros around it, so that kernels may reach over its edge.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Margins {
    /// Rows above, columns to the left.
    pub(crate) before: [usize; 2],
    /// Rows and columns with the margins.
    pub(crate) size: [usize; 2],
}

impl Margins {
    /// Values of a map of so many channels.
    pub(crate) fn len(&self, channels: usize) -> usize {
        self.size[0] * self.size[1] * channels
    }

    /// Where the value of a pixel begins; the pixel counts without margins.
    pub(crate) fn place(&self, [row, column]: [usize; 2], channels: usize) -> usize {
        ((row + self.before[0]) * self.size[1] + column + self.before[1]) * channels
    }
}

impl Geometry {
    /// `None` where the shapes don't fit each other, which Burn has messages for.
    pub(crate) fn new(x: [usize; 4], weight: [usize; 4], options: &ConvOptions<2>) -> Option<Self> {
        let [_, inputs, height, width] = x;
        let [outputs, per_group, rows, columns] = weight;
        let groups = options.groups;
        let fits = per_group * groups == inputs && outputs % groups == 0 && rows * columns * per_group > 0;
        let mut output = [0; 2];
        for axis in 0..2 {
            let (size, kernel) = ([height, width][axis], [rows, columns][axis]);
            let padded = size + options.padding[axis].0 + options.padding[axis].1;
            let reach = options.dilation[axis] * (kernel.max(1) - 1) + 1;
            output[axis] = padded.checked_sub(reach)? / options.stride[axis] + 1;
        }
        fits.then_some(Self {
            inputs,
            outputs,
            groups,
            input: [height, width],
            kernel: [rows, columns],
            output,
            stride: options.stride,
            dilation: options.dilation,
            padding: options.padding,
        })
    }

    /// Whether each channel has a kernel of its own: then channels lie across vectors, before and after.
    pub(crate) fn is_depthwise(&self) -> bool {
        self.groups > 1 && self.groups == self.inputs && self.inputs == self.outputs
    }

    /// Passes over the map: groups, but for depthwise convolutions, which do all at once.
    pub(crate) fn passes(&self) -> usize {
        if self.is_depthwise() { 1 } else { self.groups }
    }

    /// Channels after the convolution in one pass.
    pub(crate) fn columns(&self) -> usize {
        self.outputs / self.passes()
    }

    /// Input channels that one product sums over at each tap.
    fn inner(&self) -> usize {
        self.inputs / self.groups
    }

    /// Weights that one output sums over.
    pub(crate) fn steps(&self) -> usize {
        self.inner() * self.kernel[0] * self.kernel[1]
    }

    /// Multiply-adds for one image.
    pub(crate) fn work(&self) -> usize {
        self.output[0] * self.output[1] * self.outputs * self.steps()
    }

    /// The input with its padding.
    pub(crate) fn padded(&self) -> Margins {
        Margins {
            before: self.padding.map(|(before, _)| before),
            size: std::array::from_fn(|axis| self.input[axis] + self.padding[axis].0 + self.padding[axis].1),
        }
    }

    /// Where the values that a tap meets lie in the padded input, from where they lie for the first tap.
    fn taps(&self) -> impl Iterator<Item = usize> {
        let (width, channels) = (self.padded().size[1], self.inputs);
        let [rows, columns] = self.kernel;
        let [down, right] = self.dilation;
        (0..rows).flat_map(move |row| (0..columns).map(move |column| (row * down * width + column * right) * channels))
    }

    /// Where an output pixel's values begin in the padded input.
    fn corner(&self, row: usize, column: usize) -> usize {
        (row * self.stride[0] * self.padded().size[1] + column * self.stride[1]) * self.inputs
    }

    /// How far the padded input moves on for each row of the output.
    pub(crate) fn row_step(&self) -> usize {
        self.corner(1, 0)
    }

    /// The sums for `rows` rows of the output: A is the padded input from the first of them on, B the weights, C the output's rows.
    pub(crate) fn forward(&self, rows: usize) -> Product {
        let pixels = (0..rows).flat_map(|row| (0..self.output[1]).map(move |column| (row, column)));
        let rows = pixels.enumerate();
        let rows = rows.map(|(at, (row, column))| Row { a: self.corner(row, column), c: at * self.outputs }).collect();
        if self.is_depthwise() {
            let steps = self.taps().enumerate().map(|(tap, a)| step(a, tap * self.outputs)).collect();
            return Product::lanes(rows, steps, self.outputs);
        }
        let inner = self.inner();
        let steps = self.taps().flat_map(|tap| (tap..tap + inner).map(|a| a as u32));
        Product::packed(rows, steps, self.columns())
    }

    /// The sums for the weights' gradient over `rows` rows of the output: A is the padded input from the first of them on, B the
    /// output's gradient in its margins from there on, C `[taps, inner, columns]`.
    pub(crate) fn weight_gradient(&self, rows: usize) -> Product {
        let margins = self.margins();
        let pixels = (0..rows).flat_map(|row| (0..self.output[1]).map(move |column| (row, column)));
        let steps = pixels
            .map(|(row, column)| step(self.corner(row, column), (row * margins.size[1] + column) * self.outputs))
            .collect();
        let columns = self.columns();
        let places = self.taps().flat_map(|tap| tap..tap + self.inner());
        let rows = places.enumerate().map(|(at, a)| Row { a, c: at * columns }).collect();
        if self.is_depthwise() { Product::lanes(rows, steps, columns) } else { Product::rows(rows, steps, columns) }
    }

    /// How a row of input pixels meets the output's gradient: for those `phase` after a multiple of the stride, every tap that reaches
    /// an output from there, with how many outputs further that one lies than the pixel's own.
    fn reaches(&self, axis: usize, phase: usize) -> Vec<(usize, isize)> {
        let (stride, place) = (self.stride[axis] as isize, (phase + self.padding[axis].0) as isize);
        let from = |tap: usize| place - (tap * self.dilation[axis]) as isize;
        (0..self.kernel[axis]).filter(|&tap| from(tap) % stride == 0).map(|tap| (tap, from(tap) / stride)).collect()
    }

    /// The output's gradient with as much zero around it as the input's gradient asks for.
    pub(crate) fn margins(&self) -> Margins {
        let (mut before, mut size) = ([0; 2], self.output);
        for axis in 0..2 {
            for phase in 0..self.stride[axis].min(self.input[axis]) {
                let last = ((self.input[axis] - 1 - phase) / self.stride[axis]) as isize;
                for (_, further) in self.reaches(axis, phase) {
                    before[axis] = before[axis].max((-further).max(0) as usize);
                    size[axis] = size[axis].max((last + further + 1).max(0) as usize);
                }
            }
        }
        Margins { before, size: std::array::from_fn(|axis| size[axis] + before[axis]) }
    }

    /// The sums for the input's gradient, one table for each phase of the stride: A is the output's gradient in its margins, C the
    /// input's gradient, B the weights of the taps that are named with it.
    pub(crate) fn input_gradient(&self) -> Vec<(Product, Vec<usize>)> {
        let phases = |axis: usize| 0..self.stride[axis].min(self.input[axis]);
        phases(0).flat_map(|down| phases(1).map(move |right| self.phase([down, right]))).collect()
    }

    fn phase(&self, phase: [usize; 2]) -> (Product, Vec<usize>) {
        let margins = self.margins();
        let pixels = |axis: usize| (phase[axis]..self.input[axis]).step_by(self.stride[axis]);
        let mut rows = Vec::new();
        for (down, row) in pixels(0).enumerate() {
            for (right, column) in pixels(1).enumerate() {
                let a = (down * margins.size[1] + right) * self.outputs;
                rows.push(Row { a, c: (row * self.input[1] + column) * self.inputs });
            }
        }
        let (mut places, mut taps) = (Vec::new(), Vec::new());
        for (tap_row, down) in self.reaches(0, phase[0]) {
            for (tap_column, right) in self.reaches(1, phase[1]) {
                let [down, right] =
                    [(0, down), (1, right)].map(|(axis, by)| margins.before[axis].wrapping_add_signed(by));
                places.push((down * margins.size[1] + right) * self.outputs);
                taps.push(tap_row * self.kernel[1] + tap_column);
            }
        }
        let product = if self.is_depthwise() {
            let steps = places.iter().zip(&taps).map(|(&a, &tap)| step(a, tap * self.outputs)).collect();
            Product::lanes(rows, steps, self.inputs)
        } else {
            let columns = self.columns();
            let steps = places.iter().flat_map(|&place| (place..place + columns).map(|a| a as u32));
            Product::packed(rows, steps, self.inner())
        };
        (product, taps)
    }
}

fn step(a: usize, b: usize) -> Step {
    Step { a: a as u32, b: b as u32 }
}
