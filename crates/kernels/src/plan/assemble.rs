//! From layers to a plan: shapes are followed, neighbours fused, margins chosen, buffers shared out, and weights packed.

use super::Plan;
use super::convolution::{Convolution, Definition, Shape};
use super::intake::Intake;
use super::linear::Linear;
use super::map::Map;
use super::pointwise::Pointwise;
use super::pool::{Kind, Pool};
use super::step::{Place, Step, Work};
use crate::{Activation, Layer, Window, fold};

/// Bytes of what a thread keeps between linear layers: they stay in the second cache.
const BLOCK_BYTES: usize = 400 << 10;
/// Images of a block at most.
const BLOCK: usize = 64;

impl Plan {
    /// A plan for samples of `input`, `[channels, height, width]`, of which each channel is normalised by `(x - mean) / std`. `None`
    /// where shapes don't fit each other.
    pub fn new(input: [usize; 3], mean: Vec<f32>, std: Vec<f32>, layers: Vec<Layer>) -> Option<Self> {
        let [channels, height, width] = input;
        if mean.len() != channels || std.len() != channels || input.contains(&0) {
            return None;
        }
        let mut drafts = Drafts { values: vec![Map::new(channels, [height, width])], steps: Vec::new() };
        let last = drafts.layers(fold(layers), 0, true)?;
        drafts.widen()?;
        let first_linear = drafts.steps.iter().position(|step| matches!(step.node, Node::Linear { .. }));
        let split = first_linear.unwrap_or(drafts.steps.len());
        let (places, buffers, shared) = drafts.share_out(split, last);
        let per_image = buffers[shared..].iter().sum::<usize>().max(1);
        let block = (BLOCK_BYTES / 4 / per_image).clamp(1, BLOCK);
        let mut steps = Vec::with_capacity(drafts.steps.len());
        for Draft { node, from, to } in drafts.steps {
            steps.push(Step {
                work: node.prepare(places[from].map, places[to].map, block)?,
                from: places[from],
                to: places[to],
            });
        }
        let rows = steps.split_off(split);
        let work = steps.iter().chain(&rows).map(Step::work).sum();
        let map = places[last].map;
        (map.margins == [(0, 0); 2]).then(|| Self {
            intake: Intake::new(places[0], mean, std),
            images: steps,
            rows,
            buffers,
            shared,
            block,
            work,
            output: places[last],
            workspaces: Default::default(),
        })
    }
}

/// Steps between values that have no buffers yet.
struct Drafts {
    values: Vec<Map>,
    steps: Vec<Draft>,
}

struct Draft {
    node: Node,
    from: usize,
    to: usize,
}

enum Node {
    Conv(Definition),
    Linear { weight: Vec<f32>, bias: Option<Vec<f32>>, outputs: usize, relu: bool },
    Ready(Work),
}

impl Node {
    fn prepare(self, from: Map, to: Map, rows: usize) -> Option<Work> {
        Some(match self {
            Self::Conv(definition) => Work::Convolve(Convolution::new(&definition, from, to)?),
            Self::Linear { weight, bias, outputs, relu } => {
                Work::Linear(Linear::new(&weight, bias.as_deref(), outputs, from, relu, rows)?)
            }
            Self::Ready(work) => work,
        })
    }
}

impl Drafts {
    /// Appends layers behind the value `from`, which they may change in its place if it is `owned`; gives the last value.
    fn layers(&mut self, layers: Vec<Layer>, from: usize, owned: bool) -> Option<usize> {
        let mut rest = layers.into_iter().peekable();
        let (mut value, mut owned) = (from, owned);
        while let Some(layer) = rest.next() {
            let mut next = |wanted: fn(&Layer) -> bool| rest.next_if(wanted);
            let map = self.values[value];
            match layer {
                Layer::Conv { weight, bias, outputs, size, stride, padding, groups, .. } => {
                    let shape = Shape { outputs, size, stride, padding, groups };
                    let mut to = Map::new(outputs, shape.output(map.channels, map.size)?);
                    let mut relu = next(is_relu).is_some();
                    let mut pool = None;
                    if let Some(follows) = next(is_tiling).and_then(pool_of) {
                        to.size = follows.output(to.size)?;
                        pool = Some(follows);
                        // The greatest value may as well be found first.
                        if follows.kind == Kind::Max && (relu || next(is_relu).is_some()) {
                            pool = Some(Pool { kind: Kind::MaxRelu, ..follows });
                            relu = false;
                        }
                    }
                    value = self.push(Node::Conv(Definition { shape, weight, bias, relu, pool }), value, to);
                }
                Layer::Linear { weight, bias, outputs, .. } => {
                    let relu = next(is_relu).is_some();
                    value = self.push(Node::Linear { weight, bias, outputs, relu }, value, Map::new(outputs, [1, 1]));
                }
                Layer::MaxPool(_) | Layer::AvgPool(_) => {
                    let pool = pool_of(layer)?;
                    let to = Map::new(map.channels, pool.output(map.size)?);
                    value = self.push(Node::Ready(Work::Pool(pool)), value, to);
                }
                Layer::GlobalAverage => {
                    value = self.push(Node::Ready(Work::GlobalAverage), value, Map::new(map.channels, [1, 1]));
                }
                Layer::Subsample { stride, before, after } => value = self.subsample(value, stride, before, after)?,
                Layer::Residual { body, bridge } => {
                    let mut end = self.layers(body, value, false)?;
                    if end == value {
                        end = self.subsample(value, 1, 0, 0)?;
                    }
                    let bridge = self.layers(bridge, value, false)?;
                    let (a, b) = (self.values[end], self.values[bridge]);
                    if (a.channels, a.size) != (b.channels, b.size) {
                        return None;
                    }
                    let relu = next(is_relu).is_some();
                    self.steps.push(Draft { node: Node::Ready(Work::Add { relu }), from: bridge, to: end });
                    value = end;
                }
                Layer::Activation(_) | Layer::Affine { .. } | Layer::GroupNorm { .. } => {
                    if !owned {
                        value = self.subsample(value, 1, 0, 0)?;
                    }
                    let node = Node::Ready(Work::Pointwise(pointwise(layer, map.channels)?));
                    self.steps.push(Draft { node, from: value, to: value });
                }
            }
            owned = true;
        }
        Some(value)
    }

    fn push(&mut self, node: Node, from: usize, to: Map) -> usize {
        self.values.push(to);
        self.steps.push(Draft { node, from, to: self.values.len() - 1 });
        self.values.len() - 1
    }

    /// A stride of one and no new channels make a copy.
    fn subsample(&mut self, from: usize, stride: usize, before: usize, after: usize) -> Option<usize> {
        let Map { channels, size, .. } = self.values[from];
        let size = Pool { kind: Kind::Max, windows: Window { size: 1, stride, padding: 0 } }.output(size)?;
        let to = Map::new(before + channels + after, size);
        Some(self.push(Node::Ready(Work::Subsample { stride, before }), from, to))
    }

    /// Gives each map the margins that convolutions reach into, so that none of them needs a padded copy. `None` where a linear layer
    /// would read them.
    fn widen(&mut self) -> Option<()> {
        for step in &self.steps {
            let Node::Conv(Definition { shape, .. }) = &step.node else { continue };
            for (margin, padding) in self.values[step.from].margins.iter_mut().zip(shape.padding) {
                *margin = (margin.0.max(padding.0), margin.1.max(padding.1));
            }
        }
        let read = self.steps.iter().filter(|step| matches!(step.node, Node::Linear { .. })).map(|step| step.from);
        read.into_iter().all(|value| self.values[value].margins == [(0, 0); 2]).then_some(())
    }

    /// A buffer for each value, the size of each buffer, and the number of the first one that lives through a whole block: those of
    /// values that steps from `split` on use, and of `last`.
    fn share_out(&self, split: usize, last: usize) -> (Vec<Place>, Vec<usize>, usize) {
        let mut until = vec![0; self.values.len()];
        for (index, step) in self.steps.iter().enumerate() {
            until[step.from] = index;
            until[step.to] = index;
        }
        until[last] = self.steps.len();
        // For each kind of buffer: its size, and from which step on it is free.
        let mut buffers: [Vec<(usize, usize)>; 2] = Default::default();
        let mut given = vec![None; self.values.len()];
        for value in 0..self.values.len() {
            let made = self.steps.iter().position(|step| step.to == value);
            let kind = &mut buffers[usize::from(until[value] >= split)];
            let begin = made.unwrap_or(0);
            // Of a step's own input nothing is free yet.
            let place = kind.iter().position(|(_, free)| *free < begin && made.is_some());
            let place = place.unwrap_or_else(|| {
                kind.push((0, 0));
                kind.len() - 1
            });
            kind[place] = (kind[place].0.max(self.values[value].len()), until[value]);
            given[value] = Some(place);
        }
        let shared = buffers[0].len();
        let place = |(value, map): (usize, &Map)| {
            let first = if until[value] >= split { shared } else { 0 };
            Place { buffer: first + given[value].unwrap_or(0), map: *map }
        };
        let places = self.values.iter().enumerate().map(place).collect();
        (places, buffers.concat().into_iter().map(|(size, _)| size).collect(), shared)
    }
}

fn is_relu(layer: &Layer) -> bool {
    *layer == Layer::Activation(Activation::Relu)
}

/// Whether it is a pooling whose windows don't overlap, so that no row has to be computed twice.
fn is_tiling(layer: &Layer) -> bool {
    matches!(layer, Layer::MaxPool(pool) | Layer::AvgPool(pool) if pool.size <= pool.stride && pool.padding == 0)
}

fn pool_of(layer: Layer) -> Option<Pool> {
    match layer {
        Layer::MaxPool(windows) => Some(Pool { kind: Kind::Max, windows }),
        Layer::AvgPool(windows) => Some(Pool { kind: Kind::Mean, windows }),
        _ => None,
    }
}

fn pointwise(layer: Layer, channels: usize) -> Option<Pointwise> {
    let (pointwise, lengths) = match layer {
        Layer::Activation(activation) => (Pointwise::Activation(activation), [channels; 2]),
        Layer::Affine { scale, shift, .. } => {
            let lengths = [scale.len(), shift.len()];
            (Pointwise::Affine { scale, shift }, lengths)
        }
        Layer::GroupNorm { groups, weight, bias, epsilon, .. } => {
            let lengths = [weight.len(), bias.len()];
            if groups == 0 || !channels.is_multiple_of(groups) {
                return None;
            }
            (Pointwise::GroupNorm { groups, weight, bias, epsilon }, lengths)
        }
        _ => return None,
    };
    (lengths == [channels; 2]).then_some(pointwise)
}
