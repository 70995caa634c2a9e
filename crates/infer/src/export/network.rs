//! A network's layers as ONNX operators: opset 17 has no group normalisation, exact GELU or Mish, which are put together here. The layers
//! themselves come from `models`; what stands before and behind them is in `mod`.

use models::{Layer, LayerActivation, fold};

use super::graph::Graph;
use super::onnx::Attribute::{Float, Int, Ints};

/// A value in the graph for each sample: channels of maps, or numbers.
#[derive(Clone)]
pub(super) struct Value {
    pub(super) name: String,
    pub(super) channels: usize,
    /// Rows and columns of a map; `None` for numbers.
    pub(super) size: Option<[usize; 2]>,
}

/// The layers of a network behind `input`; batch normalisation becomes part of the weights before it, as in a plan.
pub(super) fn write(graph: &mut Graph, layers: Vec<Layer>, input: Value) -> Value {
    fold(layers).into_iter().fold(input, |value, layer| one(graph, layer, value))
}

fn one(graph: &mut Graph, layer: Layer, x: Value) -> Value {
    match layer {
        Layer::Conv { name, weight, bias, outputs, size, stride, padding, groups } => {
            let inputs = weight.len() / (outputs * size[0] * size[1]).max(1);
            let weight = graph.floats(&format!("{name}.weight"), &[outputs, inputs, size[0], size[1]], &weight);
            let bias = bias.map(|bias| graph.floats(&format!("{name}.bias"), &[outputs], &bias));
            let with = [
                ("kernel_shape", Ints(&size.map(|side| side as i64))),
                ("strides", Ints(&stride.map(|step| step as i64))),
                ("pads", Ints(&pads(padding))),
                ("group", Int(groups as i64)),
            ];
            let inputs: Vec<&str> =
                [Some(x.name.as_str()), Some(&weight), bias.as_deref()].into_iter().flatten().collect();
            let to = [0, 1].map(|side| windows(x.size, side, size[side], stride[side], padding[side]));
            Value { name: graph.node(&name, "Conv", &inputs, &with), channels: outputs, size: Some(to) }
        }
        Layer::Linear { name, weight, bias, outputs } => {
            let x = flat(graph, x);
            let weight = graph.floats(&format!("{name}.weight"), &[outputs, weight.len() / outputs.max(1)], &weight);
            let bias = bias.map(|bias| graph.floats(&format!("{name}.bias"), &[outputs], &bias));
            let inputs: Vec<&str> =
                [Some(x.name.as_str()), Some(&weight), bias.as_deref()].into_iter().flatten().collect();
            Value { name: graph.node(&name, "Gemm", &inputs, &[("transB", Int(1))]), channels: outputs, size: None }
        }
        Layer::Affine { name, scale, shift } => affine(graph, &name, x, &scale, &shift),
        Layer::GroupNorm { name, groups, weight, bias, epsilon } => {
            group_norm(graph, &name, x, groups, epsilon, &weight, &bias)
        }
        Layer::Activation(activation) => Value { name: activate(graph, activation, &x.name), ..x },
        Layer::MaxPool(window) => pool(graph, "MaxPool", x, [window.size, window.stride, window.padding]),
        Layer::AvgPool(window) => pool(graph, "AveragePool", x, [window.size, window.stride, window.padding]),
        Layer::Subsample { stride, before, after } => subsample(graph, x, stride, before, after),
        Layer::GlobalAverage => {
            let name = graph.node("global_average", "GlobalAveragePool", &[&x.name], &[]);
            flat(graph, Value { name, size: Some([1, 1]), ..x })
        }
        Layer::Residual { body, bridge } => {
            let short = write(graph, bridge, x.clone());
            let long = write(graph, body, x);
            Value { name: graph.node("add", "Add", &[&long.name, &short.name], &[]), ..long }
        }
    }
}

/// ONNX' order: before the rows, before the columns, after the rows, after the columns.
fn pads([rows, columns]: [(usize, usize); 2]) -> [i64; 4] {
    [rows.0, columns.0, rows.1, columns.1].map(|zeros| zeros as i64)
}

/// How many windows fit along a side.
fn windows(map: Option<[usize; 2]>, side: usize, size: usize, stride: usize, padding: (usize, usize)) -> usize {
    let along = map.map_or(1, |map| map[side]) + padding.0 + padding.1;
    along.saturating_sub(size) / stride.max(1) + 1
}

fn pool(graph: &mut Graph, op: &str, x: Value, [size, stride, padding]: [usize; 3]) -> Value {
    let around = (padding, padding);
    let to = [0, 1].map(|side| windows(x.size, side, size, stride, around));
    let with = [
        ("kernel_shape", Ints(&[size as i64; 2])),
        ("strides", Ints(&[stride as i64; 2])),
        ("pads", Ints(&pads([around; 2]))),
        ("count_include_pad", Int(1)),
    ];
    // Maxima know no such attribute: what is around a map is never the greatest.
    let with = if op == "AveragePool" { &with[..] } else { &with[..3] };
    Value { name: graph.node("pool", op, &[&x.name], with), size: Some(to), ..x }
}

/// All values of a sample in a row.
fn flat(graph: &mut Graph, x: Value) -> Value {
    match x.size {
        None => x,
        Some([height, width]) => {
            let name = graph.node("flatten", "Flatten", &[&x.name], &[("axis", Int(1))]);
            Value { name, channels: x.channels * height * width, size: None }
        }
    }
}

/// A number for each channel, in a shape that meets it in maps and in rows.
fn channels(graph: &mut Graph, name: &str, x: &Value, values: &[f32]) -> String {
    let dims = [1, values.len(), 1, 1];
    graph.floats(name, if x.size.is_some() { &dims } else { &dims[..2] }, values)
}

fn affine(graph: &mut Graph, name: &str, x: Value, scale: &[f32], shift: &[f32]) -> Value {
    let scale = channels(graph, &format!("{name}.weight"), &x, scale);
    let shift = channels(graph, &format!("{name}.bias"), &x, shift);
    let scaled = graph.node(&format!("{name}.scaled"), "Mul", &[&x.name, &scale], &[]);
    Value { name: graph.node(name, "Add", &[&scaled, &shift], &[]), ..x }
}

/// Each group as one channel of an instance normalisation, then each channel's own scale and shift.
fn group_norm(
    graph: &mut Graph,
    name: &str,
    x: Value,
    groups: usize,
    epsilon: f32,
    weight: &[f32],
    bias: &[f32],
) -> Value {
    let apart = graph.ints(&format!("{name}.groups"), &[3], &[0, groups as i64, -1]);
    let ones = graph.floats(&format!("{name}.ones"), &[groups], &vec![1.0; groups]);
    let zeros = graph.floats(&format!("{name}.zeros"), &[groups], &vec![0.0; groups]);
    let grouped = graph.node(&format!("{name}.grouped"), "Reshape", &[&x.name, &apart], &[]);
    let with = [("epsilon", Float(epsilon))];
    let normal = graph.node(&format!("{name}.normal"), "InstanceNormalization", &[&grouped, &ones, &zeros], &with);
    let mut shape = vec![0, x.channels as i64];
    shape.extend(x.size.into_iter().flatten().map(|side| side as i64));
    let together = graph.ints(&format!("{name}.shape"), &[shape.len()], &shape);
    let back = graph.node(&format!("{name}.back"), "Reshape", &[&normal, &together], &[]);
    affine(graph, name, Value { name: back, ..x }, weight, bias)
}

/// Every stride-th pixel, then channels of zeros.
fn subsample(graph: &mut Graph, x: Value, stride: usize, before: usize, after: usize) -> Value {
    let mut y = x.clone();
    if stride > 1 {
        let starts = graph.ints("starts", &[2], &[0, 0]);
        let ends = graph.ints("ends", &[2], &[i64::MAX, i64::MAX]);
        let axes = graph.ints("axes", &[2], &[2, 3]);
        let steps = graph.ints("steps", &[2], &[stride as i64; 2]);
        y.name = graph.node("subsample", "Slice", &[&x.name, &starts, &ends, &axes, &steps], &[]);
        y.size = Some([0, 1].map(|side| windows(x.size, side, 1, stride, (0, 0))));
    }
    if before + after > 0 {
        let pads = [0, before as i64, 0, 0, 0, after as i64, 0, 0];
        let pads = graph.ints("new_channels", &[8], &pads);
        y.name = graph.node("widen", "Pad", &[&y.name, &pads], &[]);
        y.channels += before + after;
    }
    y
}

fn activate(graph: &mut Graph, activation: LayerActivation, x: &str) -> String {
    match activation {
        LayerActivation::Relu => graph.node("relu", "Relu", &[x], &[]),
        LayerActivation::LeakyRelu => graph.node("leaky_relu", "LeakyRelu", &[x], &[("alpha", Float(0.01))]),
        LayerActivation::Elu => graph.node("elu", "Elu", &[x], &[("alpha", Float(1.0))]),
        LayerActivation::Selu => graph.node("selu", "Selu", &[x], &[]),
        LayerActivation::Silu => {
            let sigmoid = graph.node("sigmoid", "Sigmoid", &[x], &[]);
            graph.node("silu", "Mul", &[x, &sigmoid], &[])
        }
        LayerActivation::Gelu => {
            // The pattern that runtimes know as GELU: x (1 + erf(x / sqrt 2)) / 2.
            let root = graph.floats("root_of_two", &[], &[std::f32::consts::SQRT_2]);
            let one = graph.floats("one", &[], &[1.0]);
            let half = graph.floats("half", &[], &[0.5]);
            let divided = graph.node("divided", "Div", &[x, &root], &[]);
            let erf = graph.node("erf", "Erf", &[&divided], &[]);
            let sum = graph.node("sum", "Add", &[&erf, &one], &[]);
            let product = graph.node("product", "Mul", &[x, &sum], &[]);
            graph.node("gelu", "Mul", &[&product, &half], &[])
        }
        LayerActivation::Mish => {
            let softplus = graph.node("softplus", "Softplus", &[x], &[]);
            let tanh = graph.node("tanh", "Tanh", &[&softplus], &[]);
            graph.node("mish", "Mul", &[x, &tanh], &[])
        }
        LayerActivation::HardSwish => graph.node("hard_swish", "HardSwish", &[x], &[]),
        LayerActivation::Tanh => graph.node("tanh", "Tanh", &[x], &[]),
        LayerActivation::Sigmoid => graph.node("sigmoid", "Sigmoid", &[x], &[]),
    }
}
