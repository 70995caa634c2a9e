//! The recipe's resize inside the graph, for pictures of any size: the same windows, filters and rounding as `crates/data/src/resize.rs`, as
//! one matrix of weights for the rows and one for the columns, which the graph computes from the picture's size in 64-bit floats. ONNX' own
//! `Resize` is not used: it knows neither Lanczos nor windows between pixels, and runtimes differ in its antialiasing.

use data::{Filter, Fit, ImageSpec};

use super::graph::Graph;
use super::onnx::{Attribute, Type};

/// `[batch, channels, any height, any width]` of bytes to floats of 0 to 255 in the size of `spec`, rounded as bytes are.
pub(super) fn write(graph: &mut Graph, image: &str, spec: &ImageSpec) -> String {
    let shape = graph.node("shape", "Shape", &[image], &[]);
    let mut maths = Maths { graph };
    let counts = [2, 3].map(|axis| maths.count(&shape, axis));
    let sizes = counts.clone().map(|count| maths.graph.cast(&count, Type::Double));
    let targets = [spec.height, spec.width].map(|side| maths.number(side as f64));
    let ratios = [0, 1].map(|side| maths.two("Div", &targets[side], &sizes[side]));
    let scale = match spec.fit {
        Fit::Crop => Some(maths.two("Max", &ratios[0], &ratios[1])),
        Fit::Pad => Some(maths.two("Min", &ratios[0], &ratios[1])),
        Fit::Stretch => None,
    };
    let weights = [(0, spec.height), (1, spec.width)].map(|(side, out)| {
        let axis = Axis { size: &sizes[side], count: &counts[side], target: &targets[side], out };
        axis.weights(&mut maths, spec.fit, spec.filter, scale.as_deref())
    });
    let [rows, columns] = weights.map(|weights| graph.cast(&weights, Type::Float));
    let columns = graph.node("columns", "Transpose", &[&columns], &[("perm", Attribute::Ints(&[1, 0]))]);
    let pixels = graph.cast(image, Type::Float);
    let between = graph.node("resized_rows", "MatMul", &[&rows, &pixels], &[]);
    let resized = graph.node("resized", "MatMul", &[&between, &columns], &[]);
    let half = graph.floats("half", &[], &[0.5]);
    let [least, most] = [0.0, 255.0].map(|value| graph.floats("byte", &[], &[value]));
    let raised = graph.node("raised", "Add", &[&resized, &half], &[]);
    let whole = graph.node("whole", "Floor", &[&raised], &[]);
    graph.node("bytes", "Clip", &[&whole, &least, &most], &[])
}

/// One side of the picture; the names of scalars in the graph.
struct Axis<'a> {
    /// Pixels that there are, as a 64-bit float.
    size: &'a str,
    /// The same as a whole number.
    count: &'a str,
    /// Pixels that there shall be.
    target: &'a str,
    out: usize,
}

impl Axis<'_> {
    /// What each source pixel counts in each output pixel: `[out, size]`.
    fn weights(&self, maths: &mut Maths<'_>, fit: Fit, filter: Filter, scale: Option<&str>) -> String {
        let (window, inner) = match (fit, scale) {
            (Fit::Crop, Some(scale)) => {
                let kept = maths.two("Div", self.target, scale);
                (maths.two("Min", &kept, self.size), self.target.to_owned())
            }
            (Fit::Pad, Some(scale)) => {
                let scaled = maths.two("Mul", self.size, scale);
                let (half, one) = (maths.number(0.5), maths.number(1.0));
                let raised = maths.two("Add", &scaled, &half);
                let whole = maths.one("Floor", &raised);
                let least = maths.two("Max", &whole, &one);
                (self.size.to_owned(), maths.two("Min", &least, self.target))
            }
            _ => (self.size.to_owned(), self.target.to_owned()),
        };
        let (half, two) = (maths.number(0.5), maths.number(2.0));
        let beyond = maths.two("Sub", self.size, &window);
        let start = maths.two("Div", &beyond, &two);
        let step = maths.two("Div", &window, &inner);
        let places: Vec<f64> = (0..self.out).map(|place| place as f64).collect();
        let mut place = maths.graph.doubles("places", &[self.out, 1], &places);
        if fit == Fit::Pad {
            let margins = maths.two("Sub", self.target, &inner);
            let margin = maths.two("Div", &margins, &two);
            let before = maths.one("Floor", &margin);
            place = maths.two("Sub", &place, &before);
        }
        let middle = maths.two("Add", &place, &half);
        let along = maths.two("Mul", &middle, &step);
        let centre = maths.two("Add", &start, &along); // [out, 1]
        let weights = self.filtered(maths, filter, &centre, &step);
        if fit != Fit::Pad {
            return weights;
        }
        // Rows before and behind the picture are black.
        let zero = maths.number(0.0);
        let starts = maths.two("GreaterOrEqual", &place, &zero);
        let lasts = maths.two("Less", &place, &inner);
        let within = maths.two("And", &starts, &lasts);
        maths.graph.node("framed", "Where", &[&within, &weights, &zero], &[])
    }

    /// The filter around each of `centre`, widened by `step` where that shrinks; each row's sum is one.
    fn filtered(&self, maths: &mut Maths<'_>, filter: Filter, centre: &str, step: &str) -> String {
        let [first, next] = [0, 1].map(|value| maths.graph.ints("range", &[], &[value]));
        let sources = maths.graph.node("sources", "Range", &[&first, self.count, &next], &[]);
        let sources = maths.graph.cast(&sources, Type::Double); // [size]
        let (half, one) = (maths.number(0.5), maths.number(1.0));
        if filter == Filter::Nearest {
            let whole = maths.one("Floor", centre);
            let last = maths.two("Sub", self.size, &one);
            let nearest = maths.two("Min", &whole, &last);
            let chosen = maths.two("Equal", &sources, &nearest);
            return maths.graph.cast(&chosen, Type::Double);
        }
        let middles = maths.two("Add", &sources, &half);
        let apart = maths.two("Sub", &middles, centre); // [out, size]
        let distance = maths.one("Abs", &apart);
        let widen = maths.two("Max", step, &one);
        let x = maths.two("Div", &distance, &widen);
        let weights = match filter {
            Filter::CatmullRom => maths.catmull_rom(&x),
            Filter::Lanczos3 => maths.lanczos3(&x),
            Filter::Nearest | Filter::Triangle => {
                let falling = maths.two("Sub", &one, &x);
                let zero = maths.number(0.0);
                maths.two("Max", &falling, &zero)
            }
        };
        let axis = maths.graph.ints("axis", &[1], &[1]);
        let sums = maths.graph.node("sums", "ReduceSum", &[&weights, &axis], &[("keepdims", Attribute::Int(1))]);
        maths.two("Div", &weights, &sums)
    }
}

/// Writes formulas of 64-bit floats down.
struct Maths<'a> {
    graph: &'a mut Graph,
}

impl Maths<'_> {
    /// One side of a shape.
    fn count(&mut self, shape: &str, axis: i64) -> String {
        let axis = self.graph.ints("axis", &[], &[axis]);
        self.graph.node("side", "Gather", &[shape, &axis], &[])
    }

    fn number(&mut self, value: f64) -> String {
        self.graph.doubles("number", &[], &[value])
    }

    fn one(&mut self, op: &str, x: &str) -> String {
        self.graph.node(&op.to_lowercase(), op, &[x], &[])
    }

    fn two(&mut self, op: &str, x: &str, y: &str) -> String {
        self.graph.node(&op.to_lowercase(), op, &[x, y], &[])
    }

    /// `values` where `x` is below `bound`, else `others`.
    fn below(&mut self, x: &str, bound: f64, values: &str, others: &str) -> String {
        let bound = self.number(bound);
        let is_below = self.two("Less", x, &bound);
        self.graph.node("where", "Where", &[&is_below, values, others], &[])
    }

    /// A polynomial by Horner's rule, the highest power first.
    fn polynomial(&mut self, x: &str, coefficients: &[f64]) -> String {
        let mut sum = self.number(coefficients[0]);
        for &coefficient in &coefficients[1..] {
            let product = self.two("Mul", &sum, x);
            let next = self.number(coefficient);
            sum = self.two("Add", &product, &next);
        }
        sum
    }

    /// Keys 1981 with a = -0.5.
    fn catmull_rom(&mut self, x: &str) -> String {
        let near = self.polynomial(x, &[1.5, -2.5, 0.0, 1.0]);
        let far = self.polynomial(x, &[-0.5, 2.5, -4.0, 2.0]);
        let zero = self.number(0.0);
        let far = self.below(x, 2.0, &far, &zero);
        self.below(x, 1.0, &near, &far)
    }

    fn lanczos3(&mut self, x: &str) -> String {
        let three = self.number(3.0);
        let slow = self.two("Div", x, &three);
        let (fast, slow) = (self.sinc(x), self.sinc(&slow));
        let product = self.two("Mul", &fast, &slow);
        let zero = self.number(0.0);
        self.below(x, 3.0, &product, &zero)
    }

    /// sin(pi x) / (pi x), 1 at 0.
    fn sinc(&mut self, x: &str) -> String {
        let pi = self.number(std::f64::consts::PI);
        let angle = self.two("Mul", x, &pi);
        let sine = self.one("Sin", &angle);
        let quotient = self.two("Div", &sine, &angle);
        let one = self.number(1.0);
        self.below(x, f64::MIN_POSITIVE, &one, &quotient)
    }
}
