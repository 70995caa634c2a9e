//! A vector that training averages and prediction reads. Burn's own `RunningState` shares its value between clones and shows visitors
//! the value before the last update; so a copy of a model would change with its original, and a checkpoint would lose a step.

use std::{
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
};

use burn::{
    module::{
        Content, Devices, Module, ModuleDisplay, ModuleDisplayDefault, ModuleMapper, ModuleVisitor, Param, ParamId,
    },
    tensor::{Device, Tensor},
};

/// A vector that `forward(&self)` may change: a parameter to visitors and mappers, but never one that is trained.
#[derive(Debug)]
pub(crate) struct Running {
    id: ParamId,
    value: Mutex<Tensor<1>>,
}

impl Running {
    pub(crate) fn new(value: Tensor<1>) -> Self {
        Self { id: ParamId::new(), value: Mutex::new(value) }
    }

    pub(crate) fn value(&self) -> Tensor<1> {
        self.lock().clone()
    }

    /// Moves the value towards `new` by the fraction `momentum`.
    pub(crate) fn update(&self, new: Tensor<1>, momentum: f64) {
        let mut value = self.lock();
        *value = value.clone().mul_scalar(1.0 - momentum).add(new.mul_scalar(momentum)).detach();
    }

    fn lock(&self) -> MutexGuard<'_, Tensor<1>> {
        // A tensor is replaced whole, so a panic elsewhere leaves a good one behind.
        self.value.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with(self, change: impl FnOnce(Tensor<1>) -> Tensor<1>) -> Self {
        let value = self.value.into_inner().unwrap_or_else(PoisonError::into_inner);
        Self { id: self.id, value: Mutex::new(change(value)) }
    }
}

impl Clone for Running {
    fn clone(&self) -> Self {
        Self { id: self.id, value: Mutex::new(self.value()) }
    }
}

impl Module for Running {
    fn collect_devices(&self, mut devices: Devices) -> Devices {
        let device = self.value().device();
        if !devices.contains(&device) {
            devices.push(device);
        }
        devices
    }

    fn fork(self, device: &Device) -> Self {
        self.to_device(device)
    }

    fn to_device(self, device: &Device) -> Self {
        self.with(|value| value.to_device(device))
    }

    fn train(self) -> Self {
        self.with(Tensor::from_inner)
    }

    fn valid(&self) -> Self {
        self.clone().with(Tensor::without_autodiff)
    }

    fn materialize(self) -> Self {
        self
    }

    fn visit<V: ModuleVisitor>(&self, visitor: &mut V) {
        visitor.visit_float(&Param::initialized(self.id, self.value()));
    }

    fn map<M: ModuleMapper>(self, mapper: &mut M) -> Self {
        let id = self.id;
        self.with(|value| mapper.map_float(Param::initialized(id, value)).into_value().set_require_grad(false))
    }
}

impl ModuleDisplay for Running {}

impl ModuleDisplayDefault for Running {
    fn content(&self, content: Content) -> Option<Content> {
        content.add_formatted(&self.to_string()).optional()
    }
}

impl fmt::Display for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Running({})", self.value().dims()[0])
    }
}
