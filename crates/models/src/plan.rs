//! A network as a list of layers in the order in which `forward` runs them, with their weights: what a [`kernels::Plan`] is made of, and
//! whatever else writes networks down. Owns that translation alone; folding, fusing and running are in `kernels`.

use std::collections::HashMap;

#[cfg(feature = "flex")]
use burn::{
    module::{Module, ModuleVisitor, Param},
    tensor::Tensor,
};
use kernels::Layer;
#[cfg(feature = "flex")]
use kernels::Plan;

use crate::{
    Activation, HeadPool, Model, Normalisation, PoolKind,
    block::BlockPlan,
    cnn::CnnPlan,
    config::NetPlan,
    layers::{ConvSpec, EPSILON, group_count},
    mlp::MlpPlan,
    named_tensors,
    stage::StagePlan,
};

/// See [`Model::plan`].
#[cfg(feature = "flex")]
pub(crate) fn plan(model: &Model) -> Option<Plan> {
    let mut on_flex = OnFlex(true);
    model.visit(&mut on_flex);
    if !on_flex.0 {
        return None;
    }
    let (mean, std) = model.input().normalisation();
    Plan::new(model.input().shape(), mean, std, layers(model)?)
}

/// See [`Model::layers`].
pub(crate) fn layers(model: &Model) -> Option<Vec<Layer>> {
    let tensors = named_tensors(model).into_iter();
    let tensors = tensors.map(|tensor| Some((tensor.name, tensor.data.try_into_vec::<f32>().ok()?)));
    let mut lowering = Lowering { tensors: tensors.collect::<Option<_>>()?, layers: Vec::new() };
    match model.config().plan(model.input(), model.outputs()).ok()?.0 {
        NetPlan::Mlp(plan) => lowering.perceptron("", &plan)?,
        NetPlan::Cnn(plan) => lowering.cnn(&plan)?,
    }
    Some(lowering.layers)
}

/// Whether all parameters are where the CPU's kernels find them.
#[cfg(feature = "flex")]
struct OnFlex(bool);

#[cfg(feature = "flex")]
impl ModuleVisitor for OnFlex {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.0 = self.0 && kernels::is_flex(&param.val());
    }
}

/// The layers so far, and the weights that are left, by name.
struct Lowering {
    tensors: HashMap<String, Vec<f32>>,
    layers: Vec<Layer>,
}

impl Lowering {
    fn cnn(&mut self, plan: &CnnPlan) -> Option<()> {
        for (index, stage) in plan.stages.iter().enumerate() {
            self.stage(&format!("stages.{index}"), stage)?;
        }
        if plan.pool == HeadPool::Global {
            self.layers.push(Layer::GlobalAverage);
        }
        self.perceptron("head.", &plan.head)
    }

    fn stage(&mut self, name: &str, plan: &StagePlan) -> Option<()> {
        for (index, block) in plan.blocks.iter().enumerate() {
            self.block(&format!("{name}.blocks.{index}"), block, plan.norm, plan.activation)?;
            self.activation(plan.activation);
        }
        self.layers.extend(plan.pool.map(|pool| match pool.kind {
            PoolKind::Max => Layer::MaxPool(pool.window()),
            PoolKind::Avg => Layer::AvgPool(pool.window()),
        }));
        Some(())
    }

    /// Without the activation at its end.
    fn block(&mut self, name: &str, plan: &BlockPlan, norm: Normalisation, activation: Activation) -> Option<()> {
        if let [conv] = &plan.convs[..] {
            return self.convolution(&format!("{name}.conv1"), &format!("{name}.norm1"), conv, norm);
        }
        let before = std::mem::take(&mut self.layers);
        for (index, conv) in plan.convs.iter().enumerate() {
            if index > 0 {
                self.activation(activation);
            }
            let number = index + 1;
            self.convolution(&format!("{name}.conv{number}"), &format!("{name}.norm{number}"), conv, norm)?;
        }
        let body = std::mem::take(&mut self.layers);
        if let Some(project) = &plan.project {
            self.convolution(&format!("{name}.shortcut.conv"), &format!("{name}.shortcut.norm"), project, norm)?;
        } else if let Some(by) = &plan.subsample {
            self.layers.push(Layer::Subsample { stride: by.stride, before: by.before, after: by.after });
        }
        let bridge = std::mem::replace(&mut self.layers, before);
        self.layers.push(Layer::Residual { body, bridge });
        Some(())
    }

    fn convolution(&mut self, name: &str, norm_name: &str, spec: &ConvSpec, norm: Normalisation) -> Option<()> {
        self.layers.push(Layer::Conv {
            name: name.to_owned(),
            weight: self.tensors.remove(&format!("{name}.weight"))?,
            bias: self.tensors.remove(&format!("{name}.bias")),
            outputs: spec.outputs,
            size: [spec.kernel; 2],
            stride: [spec.stride; 2],
            padding: spec.padding,
            groups: spec.groups,
        });
        self.norm(norm_name, spec.outputs, norm)
    }

    fn perceptron(&mut self, prefix: &str, plan: &MlpPlan) -> Option<()> {
        for (index, &outputs) in plan.hidden.iter().enumerate() {
            self.linear(&format!("{prefix}hidden.{index}.linear"), outputs)?;
            self.norm(&format!("{prefix}hidden.{index}.norm"), outputs, plan.norm)?;
            self.activation(plan.activation);
        }
        self.linear(&format!("{prefix}output"), plan.outputs)
    }

    fn linear(&mut self, name: &str, outputs: usize) -> Option<()> {
        self.layers.push(Layer::Linear {
            name: name.to_owned(),
            weight: self.tensors.remove(&format!("{name}.weight"))?,
            bias: self.tensors.remove(&format!("{name}.bias")),
            outputs,
        });
        Some(())
    }

    fn norm(&mut self, name: &str, channels: usize, norm: Normalisation) -> Option<()> {
        let mut vector = |what: &str| self.tensors.remove(&format!("{name}.{what}"));
        let groups = match norm {
            Normalisation::None => return Some(()),
            Normalisation::Layer => 1,
            Normalisation::Group => group_count(channels),
            Normalisation::Batch => {
                let (weight, bias) = (vector("weight")?, vector("bias")?);
                let (mean, variance) = (vector("running_mean")?, vector("running_var")?);
                let scale =
                    |(weight, variance): (&f32, &f32)| f64::from(*weight) / (f64::from(*variance) + EPSILON).sqrt();
                let scale: Vec<f64> = weight.iter().zip(&variance).map(scale).collect();
                let shift = bias.iter().zip(&mean).zip(&scale);
                let shift = shift.map(|((bias, mean), scale)| (f64::from(*bias) - f64::from(*mean) * scale) as f32);
                let shift = shift.collect();
                let scale = scale.into_iter().map(|scale| scale as f32).collect();
                self.layers.push(Layer::Affine { name: name.to_owned(), scale, shift });
                return Some(());
            }
        };
        let (weight, bias) = (vector("weight")?, vector("bias")?);
        self.layers.push(Layer::GroupNorm { name: name.to_owned(), groups, weight, bias, epsilon: EPSILON as f32 });
        Some(())
    }

    fn activation(&mut self, activation: Activation) {
        self.layers.extend(
            match activation {
                Activation::Relu => Some(kernels::Activation::Relu),
                Activation::LeakyRelu => Some(kernels::Activation::LeakyRelu),
                Activation::Elu => Some(kernels::Activation::Elu),
                Activation::Selu => Some(kernels::Activation::Selu),
                Activation::Gelu => Some(kernels::Activation::Gelu),
                Activation::Silu => Some(kernels::Activation::Silu),
                Activation::Mish => Some(kernels::Activation::Mish),
                Activation::HardSwish => Some(kernels::Activation::HardSwish),
                Activation::Tanh => Some(kernels::Activation::Tanh),
                Activation::Sigmoid => Some(kernels::Activation::Sigmoid),
                Activation::None => None,
            }
            .map(Layer::Activation),
        );
    }
}
