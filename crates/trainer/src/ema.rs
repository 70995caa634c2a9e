//! Averaged weights: an exponential moving average of a model's weights and running statistics, which often generalises better than the
//! last weights themselves (Polyak and Juditsky, 1992; in the form of timm's `ModelEmaV3` and of ultralytics).

use std::collections::{BTreeMap, HashSet};

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::tensor::{Tensor, TensorData};

use crate::state::{StateError, values};

/// The name of the number of updates among the saved tensors; no path in a module begins with a dot.
const UPDATES: &str = ".updates";

/// The average of the models seen so far: every float tensor by its path in the module, flat.
pub struct Ema {
    decay: f64,
    updates: u64,
    averages: BTreeMap<String, Tensor<1>>,
    /// Tensors that never move, whose average would drift by rounding.
    spared: HashSet<ParamId>,
}

impl Ema {
    /// An average that begins with `model` and forgets at each update all but `decay`, in `[0, 1)`: 0.999 averages over about the last
    /// thousand steps.
    pub fn new<M: Module>(model: &M, decay: f64) -> Self {
        let mut ema = Self { decay, updates: 0, averages: BTreeMap::new(), spared: HashSet::new() };
        ema.blend(model, 1.0);
        ema
    }

    /// The same, in which tensors of these ids stay as they are.
    pub(crate) fn sparing(mut self, spared: HashSet<ParamId>) -> Self {
        self.spared = spared;
        self
    }

    /// Takes in the model after a step: `average = d * average + (1 - d) * weights`, where `d` warms up to the decay as
    /// `min(decay, (1 + t) / (10 + t))` for the `t`-th update, so that the random weights of the beginning are soon forgotten.
    pub fn update<M: Module>(&mut self, model: &M) {
        self.updates += 1;
        let t = self.updates as f64;
        self.blend(model, 1.0 - self.decay.min((1.0 + t) / (10.0 + t)));
    }

    /// `model` with the averages in place of its weights and running statistics, as `valid` gives it: for validation and for `best`.
    pub fn model<M: Module>(&self, model: &M) -> M {
        // `valid` makes running statistics of its own, so that writing into them doesn't reach `model`.
        model.valid().map(&mut Fill { path: Vec::new(), averages: &self.averages })
    }

    /// How many models it has taken in.
    pub fn updates(&self) -> u64 {
        self.updates
    }

    /// The averages, `[n]` each, by the path in the module.
    pub(crate) fn tensors(&self) -> impl Iterator<Item = (String, Tensor<1>)> + '_ {
        self.averages.iter().map(|(path, tensor)| (path.clone(), tensor.clone()))
    }

    /// All that a checkpoint must keep: the averages, f32 `[n]`, under the paths in the module, and `.updates`, u64 `[1]`.
    pub fn state(&self) -> Vec<(String, TensorData)> {
        let updates = (UPDATES.to_owned(), TensorData::new(vec![self.updates], [1]));
        self.tensors().map(|(path, tensor)| (path, kernels::snapshot(tensor))).chain([updates]).collect()
    }

    /// Takes back what [`Ema::state`] gave.
    ///
    /// # Errors
    /// [`StateError`] where names, shapes or types aren't those of the model given to [`Ema::new`]; the average is then as it was.
    pub fn load_state(&mut self, entries: Vec<(String, TensorData)>) -> Result<(), StateError> {
        let mut entries: BTreeMap<String, TensorData> = entries.into_iter().collect();
        let mut take = |name: &str| entries.remove(name).ok_or_else(|| StateError::Missing { name: name.to_owned() });
        let updates = values::<u64>(UPDATES, &take(UPDATES)?, &[1])?[0];
        let mut averages = BTreeMap::new();
        for (path, mine) in &self.averages {
            let data = take(path)?;
            values::<f32>(path, &data, &mine.dims())?;
            averages.insert(path.clone(), Tensor::from_data(data, &mine.device()));
        }
        if let Some(name) = entries.into_keys().next() {
            return Err(StateError::Unknown { name, expected: "the tensors of the model".into() });
        }
        (self.updates, self.averages) = (updates, averages);
        Ok(())
    }

    fn blend<M: Module>(&mut self, model: &M, weight: f64) {
        // `valid` gives the tensors without autodiff, and brings running statistics up to date.
        let Self { averages, spared, .. } = self;
        model.valid().visit(&mut Blend { path: Vec::new(), averages, spared, weight });
    }
}

/// Moves the averages towards the tensors of the module it visits.
struct Blend<'a> {
    path: Vec<String>,
    averages: &'a mut BTreeMap<String, Tensor<1>>,
    spared: &'a HashSet<ParamId>,
    weight: f64,
}

impl ModuleVisitor for Blend<'_> {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if self.spared.contains(&param.id) {
            return;
        }
        let (path, seen) = (self.path.join("."), param.val().without_autodiff().reshape([-1]));
        // Taken out of the map, so that a backend that can updates it in place.
        let average = match self.averages.remove(&path) {
            Some(average) => kernels::blend(average, seen, self.weight),
            None => seen,
        };
        self.averages.insert(path, average);
    }
}

/// Puts the averages into the module it maps.
struct Fill<'a> {
    path: Vec<String>,
    averages: &'a BTreeMap<String, Tensor<1>>,
}

impl ModuleMapper for Fill<'_> {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        match self.averages.get(&self.path.join(".")) {
            Some(average) => param.map(|tensor| average.clone().reshape(tensor.shape())),
            None => param,
        }
    }
}
