//! The network as modules of PyTorch: nested constructors of the layers that it has, under the names that its weights have. What stands around
//! them is `torch`'s.

use std::fmt::Write;

use models::{Layer, LayerActivation};

/// A module: a layer, or several under names.
enum Module {
    Layer(String),
    /// One behind the other.
    Chain(Vec<(String, Module)>),
    /// A chain with a way around it, of which nothing may be there: the input itself.
    Residual {
        chain: Vec<(String, Module)>,
        shortcut: Option<Box<Module>>,
        activation: Option<String>,
    },
}

/// The module so far, and which classes of our own it needs.
#[derive(Default)]
pub(super) struct Modules {
    root: Vec<(String, Module)>,
    /// Channels or numbers of the present value.
    channels: usize,
    /// Whether the present value is a map.
    is_map: bool,
    pub(super) pads: bool,
    pub(super) subsamples: bool,
    pub(super) bridges: bool,
}

impl Modules {
    /// The layers of a network that takes maps of `channels`, or that many numbers.
    pub(super) fn of(layers: Vec<Layer>, channels: usize, is_map: bool) -> Self {
        let mut modules = Self { channels, is_map, ..Self::default() };
        let mut last = String::new();
        for layer in layers {
            modules.top(layer, &mut last);
        }
        modules
    }

    /// A layer that isn't part of a residual block; `last` is the name of the last one that had one.
    fn top(&mut self, layer: Layer, last: &mut String) {
        match layer {
            Layer::Residual { body, bridge } => {
                let (channels, name) = (self.channels, block_of(&body).to_owned());
                let chain = self.chain(body);
                let after = std::mem::replace(&mut self.channels, channels);
                let mut bridge = self.chain(bridge);
                self.channels = after;
                let shortcut = match bridge.len() {
                    0 => None,
                    1 if bridge[0].0 == "subsample" => bridge.pop().map(|(_, module)| Box::new(module)),
                    _ => Some(Box::new(Module::Chain(bridge))),
                };
                self.bridges = true;
                self.place(&name, Module::Residual { chain, shortcut, activation: None });
                *last = format!("{name}.add");
            }
            Layer::Activation(activation) => {
                let block = last.rsplit_once('.').map_or("", |(block, _)| block).to_owned();
                let code = activate(activation);
                if last.ends_with(".add")
                    && let Some(Module::Residual { activation, .. }) = find(&mut self.root, &block)
                {
                    *activation = Some(code);
                } else {
                    self.place(&format!("{block}.activation"), Module::Layer(code));
                }
            }
            Layer::MaxPool(_) | Layer::AvgPool(_) => {
                let stage: Vec<&str> = last.split('.').take(2).collect();
                let place = format!("{}.pool", stage.join("."));
                let code = self.code(layer);
                self.place(&place, Module::Layer(code));
            }
            Layer::GlobalAverage => {
                self.place("average", Module::Layer("nn.AdaptiveAvgPool2d(1)".to_owned()));
            }
            layer => {
                if matches!(layer, Layer::Linear { .. }) && self.is_map {
                    self.place("flatten", Module::Layer("nn.Flatten()".to_owned()));
                    self.is_map = false;
                }
                name_of(&layer).clone_into(last);
                let code = self.code(layer);
                self.place(last, Module::Layer(code));
            }
        }
    }

    /// One way of a residual block, its layers under the last part of their names; activations are numbered, for one chain has several.
    fn chain(&mut self, layers: Vec<Layer>) -> Vec<(String, Module)> {
        let mut chain = Vec::with_capacity(layers.len());
        let mut activations = 0;
        for layer in layers {
            let key = match &layer {
                Layer::Activation(_) => {
                    activations += 1;
                    format!("activation{activations}")
                }
                Layer::Subsample { .. } => "subsample".to_owned(),
                layer => name_of(layer).rsplit('.').next().unwrap_or_default().to_owned(),
            };
            let code = self.code(layer);
            chain.push((key, Module::Layer(code)));
        }
        chain
    }

    /// Puts a module where its name says, behind what is there.
    fn place(&mut self, name: &str, module: Module) {
        let mut names: Vec<&str> = name.split('.').filter(|part| !part.is_empty()).collect();
        let last = names.pop().unwrap_or("layer").to_owned();
        let mut chain = &mut self.root;
        for name in names {
            let at = chain.iter().position(|(key, _)| key == name).unwrap_or_else(|| {
                chain.push((name.to_owned(), Module::Chain(Vec::new())));
                chain.len() - 1
            });
            let (Module::Chain(next) | Module::Residual { chain: next, .. }) = &mut chain[at].1 else { return };
            chain = next;
        }
        chain.push((last, module));
    }

    /// A layer in Python.
    fn code(&mut self, layer: Layer) -> String {
        match layer {
            Layer::Conv { weight, bias, outputs, size, stride, padding, groups, .. } => {
                let inputs = weight.len() / (outputs * size[0] * size[1]).max(1) * groups;
                self.channels = outputs;
                let [(top, bottom), (left, right)] = padding;
                let even = top == bottom && left == right;
                let mut code = if even { "nn.Conv2d(" } else { "PaddedConv2d(" }.to_owned();
                let _ = write!(code, "{inputs}, {outputs}, {}", pair(size));
                if stride != [1, 1] {
                    let _ = write!(code, ", stride={}", pair(stride));
                }
                if !even {
                    self.pads = true;
                    let _ = write!(code, ", around=({left}, {right}, {top}, {bottom})");
                } else if [top, left] != [0, 0] {
                    let _ = write!(code, ", padding={}", pair([top, left]));
                }
                if groups != 1 {
                    let _ = write!(code, ", groups={groups}");
                }
                code + if bias.is_some() { ")" } else { ", bias=False)" }
            }
            Layer::Linear { weight, bias, outputs, .. } => {
                self.channels = outputs;
                let inputs = weight.len() / outputs.max(1);
                format!("nn.Linear({inputs}, {outputs}{})", if bias.is_some() { "" } else { ", bias=False" })
            }
            Layer::Affine { scale, .. } => {
                format!("nn.BatchNorm{}d({})", if self.is_map { 2 } else { 1 }, scale.len())
            }
            Layer::GroupNorm { groups, weight, epsilon, .. } => {
                format!("nn.GroupNorm({groups}, {}, eps={epsilon:?})", weight.len())
            }
            Layer::Activation(activation) => activate(activation),
            Layer::MaxPool(window) => pool("Max", window.size, window.stride, window.padding),
            Layer::AvgPool(window) => pool("Avg", window.size, window.stride, window.padding),
            Layer::Subsample { stride, before, after } => {
                self.subsamples = true;
                format!("Subsample({stride}, {before}, {after})")
            }
            Layer::GlobalAverage | Layer::Residual { .. } => String::new(),
        }
    }

    /// The arguments of the network's class, a line for each layer.
    pub(super) fn lines(&self) -> String {
        let mut lines = String::new();
        self.root.iter().for_each(|(key, module)| module.write(Some(key), 3, &mut lines));
        lines
    }
}

impl Module {
    fn write(&self, key: Option<&str>, depth: usize, lines: &mut String) {
        let indent = "    ".repeat(depth);
        let key = key.map(|key| format!("{key}=")).unwrap_or_default();
        let _ = match self {
            Self::Layer(code) => writeln!(lines, "{indent}{key}{code},"),
            Self::Chain(parts) => {
                // PyTorch numbers those that have no names.
                let numbered = parts.iter().enumerate().all(|(at, (key, _))| *key == at.to_string());
                let _ = writeln!(lines, "{indent}{key}{}(", if numbered { "nn.Sequential" } else { "chain" });
                parts.iter().for_each(|(key, part)| part.write((!numbered).then_some(key), depth + 1, lines));
                writeln!(lines, "{indent}),")
            }
            Self::Residual { chain, shortcut, activation } => {
                let _ = writeln!(lines, "{indent}{key}Residual(");
                chain.iter().for_each(|(key, part)| part.write(Some(key), depth + 1, lines));
                if let Some(shortcut) = shortcut {
                    shortcut.write(Some("shortcut"), depth + 1, lines);
                }
                if let Some(activation) = activation {
                    let _ = writeln!(lines, "{indent}    activation={activation},");
                }
                writeln!(lines, "{indent}),")
            }
        };
    }
}

/// The residual block that stands under `name`.
fn find<'a>(mut chain: &'a mut Vec<(String, Module)>, name: &str) -> Option<&'a mut Module> {
    let mut names: Vec<&str> = name.split('.').collect();
    let last = names.pop()?;
    for name in names {
        let (_, Module::Chain(next)) = chain.iter_mut().find(|(key, _)| key == name)? else { return None };
        chain = next;
    }
    chain.iter_mut().find(|(key, _)| key == last).map(|(_, module)| module)
}

/// What a layer's tensors' names begin with; empty for a layer without tensors.
fn name_of(layer: &Layer) -> &str {
    match layer {
        Layer::Conv { name, .. }
        | Layer::Linear { name, .. }
        | Layer::Affine { name, .. }
        | Layer::GroupNorm { name, .. } => name,
        _ => "",
    }
}

/// The name of the block whose long way `body` is.
fn block_of(body: &[Layer]) -> &str {
    let named = body.iter().map(name_of).find(|name| !name.is_empty()).unwrap_or_default();
    named.rsplit_once('.').map_or("", |(block, _)| block)
}

/// One number where both are the same.
fn pair([rows, columns]: [usize; 2]) -> String {
    if rows == columns { rows.to_string() } else { format!("({rows}, {columns})") }
}

fn pool(kind: &str, size: usize, stride: usize, padding: usize) -> String {
    let padding = if padding == 0 { String::new() } else { format!(", padding={padding}") };
    format!("nn.{kind}Pool2d({size}, stride={stride}{padding})")
}

fn activate(activation: LayerActivation) -> String {
    let name = match activation {
        LayerActivation::Relu => "ReLU",
        LayerActivation::LeakyRelu => "LeakyReLU",
        LayerActivation::Elu => "ELU",
        LayerActivation::Selu => "SELU",
        LayerActivation::Gelu => "GELU",
        LayerActivation::Silu => "SiLU",
        LayerActivation::Mish => "Mish",
        LayerActivation::HardSwish => "Hardswish",
        LayerActivation::Tanh => "Tanh",
        LayerActivation::Sigmoid => "Sigmoid",
    };
    format!("nn.{name}()")
}
