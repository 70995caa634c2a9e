//! The parameters of a network by name, with PyTorch's names and layouts, out and in; and what each is for, so that an optimiser can
//! spare norms and biases. Files are in `file`.

use std::collections::{HashMap, HashSet};

use burn::{
    module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId},
    tensor::{Tensor, TensorData},
};

use crate::{Error, Model, layers::transpose};

/// What a parameter is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A matrix or kernels: weight decay applies.
    Weight,
    /// What is added after a matrix or kernels.
    Bias,
    /// Scale and shift of a normalisation.
    Norm,
    /// Running statistics: not trained, but averaged and stored.
    Running,
}

/// Whether the parameter `name` is of the head: the layers behind the last map of a CNN, the output layer of an MLP.
pub fn is_head(name: &str) -> bool {
    ["head.", "output."].iter().any(|prefix| name.starts_with(prefix))
}

/// Whether the parameter `name` is of the layer whose rows are the outputs.
pub fn is_output(name: &str) -> bool {
    ["output.", "head.output."].iter().any(|layer| name.strip_prefix(layer).is_some_and(|rest| !rest.contains('.')))
}

/// A parameter in PyTorch's layout.
#[derive(Clone, Debug)]
pub struct NamedTensor {
    /// As in PyTorch's `state_dict`: "stages.0.blocks.0.conv1.weight".
    pub name: String,
    /// f32; the matrix of a linear layer is `[outputs, inputs]`.
    pub data: TensorData,
    /// What it is for.
    pub kind: Kind,
}

/// All parameters, in the order of computation, read back from the device.
pub fn named_tensors(model: &Model) -> Vec<NamedTensor> {
    let mut collect = Collect::default();
    model.visit(&mut collect);
    collect.tensors
}

/// The name of each parameter and what it is for, by the id under which gradients are kept.
pub fn parameter_kinds(model: &Model) -> HashMap<ParamId, (String, Kind)> {
    let mut kinds = Kinds::default();
    model.visit(&mut kinds);
    kinds.kinds
}

/// The name, the shape in PyTorch's layout and the kind of each parameter, in the order of computation.
pub(crate) fn shapes(model: &Model) -> Vec<(String, Vec<usize>, Kind)> {
    let mut shapes = Shapes::default();
    model.visit(&mut shapes);
    shapes.shapes.into_iter().map(|(_, name, shape, kind)| (name, shape, kind)).collect()
}

/// The id of each parameter, what it is for, and how many numbers it has.
pub fn parameter_sizes(model: &Model) -> Vec<(ParamId, Kind, u64)> {
    let mut shapes = Shapes::default();
    model.visit(&mut shapes);
    let size = |shape: &[usize]| shape.iter().product::<usize>() as u64;
    shapes.shapes.into_iter().map(|(id, _, shape, kind)| (id, kind, size(&shape))).collect()
}

/// The model with some of its parameters replaced by `tensors`, by name and in PyTorch's layout; the others, ids and devices stay.
///
/// # Errors
/// [`Error::Tensor`] for the first tensor of unknown name, of other shape or no float.
pub fn replace_tensors(model: Model, tensors: HashMap<String, TensorData>) -> Result<Model, Error> {
    let mut load = Load { path: Path::default(), tensors, error: None, partial: true };
    let model = model.map(&mut load);
    let unknown = load.tensors.into_keys().min();
    match (load.error, unknown) {
        (Some(error), _) => Err(error),
        (None, Some(name)) => Err(Error::tensor(name, "a parameter of this network", "none of that name")),
        (None, None) => Ok(model),
    }
}

/// The model in which the parameters of these ids are no longer trained: they have no gradient, and a batch normalisation whose scale and
/// shift are among them answers by its running statistics, which stay.
pub fn freeze(model: Model, ids: &HashSet<ParamId>) -> Model {
    model.map(&mut Freeze(ids))
}

/// The model with its parameters replaced by `tensors`, by name and in PyTorch's layout; ids and devices stay. PyTorch's
/// `num_batches_tracked` is passed over.
///
/// # Errors
/// [`Error::Tensor`] for the first parameter that is missing, of other shape or no float, and for a tensor of unknown name.
pub fn load_tensors(model: Model, tensors: HashMap<String, TensorData>) -> Result<Model, Error> {
    let mut kinds = Kinds::default();
    model.visit(&mut kinds);
    let known: HashSet<&str> = kinds.kinds.values().map(|(name, _)| name.as_str()).collect();
    let mut unknown: Vec<&String> = tensors
        .keys()
        .filter(|name| !known.contains(name.as_str()) && !name.ends_with(".num_batches_tracked"))
        .collect();
    unknown.sort();
    if let Some(name) = unknown.first() {
        return Err(Error::tensor(name, "a parameter of this network", "none of that name"));
    }
    let mut load = Load { path: Path::default(), tensors, error: None, partial: false };
    let model = model.map(&mut load);
    load.error.map_or(Ok(model), Err)
}

/// Where a traversal is: the names that PyTorch would have, and the module that they end in.
#[derive(Default)]
struct Path {
    names: Vec<Option<String>>,
    containers: Vec<String>,
}

impl Path {
    fn enter(&mut self, name: &str, container: &str) {
        // Which architecture or which normalisation it is, is no part of a name; nor is the model itself.
        let skipped = container.starts_with("Enum:") || container == "Struct:Model";
        self.names.push((!skipped).then(|| name.to_owned()));
        self.containers.push(container.to_owned());
    }

    fn exit(&mut self) {
        self.names.pop();
        self.containers.pop();
    }

    fn name(&self) -> String {
        self.names.iter().flatten().map(String::as_str).collect::<Vec<_>>().join(".")
    }

    fn kind(&self) -> Kind {
        let name = self.names.iter().flatten().last().map_or("", String::as_str);
        let norm = self.containers.last().is_some_and(|container| container.ends_with("Norm"));
        match name {
            "running_mean" | "running_var" => Kind::Running,
            _ if norm => Kind::Norm,
            "bias" => Kind::Bias,
            _ => Kind::Weight,
        }
    }
}

#[derive(Default)]
struct Collect {
    path: Path,
    tensors: Vec<NamedTensor>,
}

impl ModuleVisitor for Collect {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name, container);
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.exit();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let data = turned(kernels::snapshot(param.val()).convert::<f32>());
        self.tensors.push(NamedTensor { name: self.path.name(), data, kind: self.path.kind() });
    }
}

#[derive(Default)]
struct Kinds {
    path: Path,
    kinds: HashMap<ParamId, (String, Kind)>,
}

impl ModuleVisitor for Kinds {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name, container);
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.exit();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.kinds.insert(param.id, (self.path.name(), self.path.kind()));
    }
}

#[derive(Default)]
struct Shapes {
    path: Path,
    shapes: Vec<(ParamId, String, Vec<usize>, Kind)>,
}

impl ModuleVisitor for Shapes {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name, container);
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.exit();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.shapes.push((param.id, self.path.name(), in_file(&param.lazy_shape()[..]), self.path.kind()));
    }
}

struct Freeze<'a>(&'a HashSet<ParamId>);

impl ModuleMapper for Freeze<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if self.0.contains(&param.id) { param.set_require_grad(false) } else { param }
    }
}

struct Load {
    path: Path,
    tensors: HashMap<String, TensorData>,
    error: Option<Error>,
    /// Whether parameters may stay as they are.
    partial: bool,
}

impl ModuleMapper for Load {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name, container);
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.exit();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let name = self.path.name();
        let given = self.tensors.remove(&name);
        if self.partial && given.is_none() {
            return param;
        }
        match fitting(&name, given, &param.lazy_shape()[..]) {
            Ok(data) => param.map(|old| {
                let require_grad = old.is_require_grad();
                Tensor::from_data(data, &old.device()).set_require_grad(require_grad)
            }),
            Err(error) => {
                self.error.get_or_insert(error);
                param
            }
        }
    }
}

/// The shape that files have for one in memory: matrices are turned.
fn in_file(shape: &[usize]) -> Vec<usize> {
    let mut shape = shape.to_vec();
    if shape.len() == 2 {
        shape.reverse();
    }
    shape
}

/// The tensor in memory's layout, if it is there and has the shape `expected` there.
fn fitting(name: &str, given: Option<TensorData>, expected: &[usize]) -> Result<TensorData, Error> {
    let in_file = in_file(expected);
    let Some(given) = given else {
        return Err(Error::tensor(name, format!("shape {in_file:?}"), "no tensor of that name"));
    };
    if given.shape()[..] != in_file[..] {
        return Err(Error::tensor(name, format!("shape {in_file:?}"), format!("shape {:?}", &given.shape()[..])));
    }
    if !given.dtype().is_float() {
        return Err(Error::tensor(name, "floating-point numbers", format!("{:?}", given.dtype())));
    }
    Ok(turned(given.convert::<f32>()))
}

/// A matrix transposed, anything else as it is: between Burn's `[inputs, outputs]` and PyTorch's `[outputs, inputs]`.
fn turned(data: TensorData) -> TensorData {
    match (&data.shape()[..], data.as_slice::<f32>()) {
        (&[rows, columns], Ok(values)) => TensorData::new(transpose(values, rows, columns), [columns, rows]),
        _ => data,
    }
}
