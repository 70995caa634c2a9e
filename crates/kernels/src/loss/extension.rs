//! Softmax cross-entropy as an operation of Burn's: Flex runs it on slices, and autodiff learns its gradient, which is ready with the
//! loss.

use std::sync::Arc;

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension};
use burn::tensor::{DType, Int, Tensor};

pub(super) use super::rows::Target;
use crate::flex;

/// Fused softmax cross-entropy.
#[backend_extension(Flex: cfg(feature = "flex"), Autodiff)]
pub(crate) trait CrossEntropy: Backend {
    /// See [`super::cross_entropy`].
    fn entropy(outputs: FloatTensor<Self>, target: Arc<Target>) -> FloatTensor<Self>;
}

/// The target on this side of the device, if the CPU kernels take it: f32 on Flex, and classes that there are.
pub(super) fn target(
    outputs: &Tensor<2>,
    classes: &Tensor<1, Int>,
    weights: Option<&Tensor<1>>,
    smoothing: f32,
) -> Option<Arc<Target>> {
    let [batch, k] = outputs.dims();
    let fits = batch > 0 && k > 0 && classes.dims() == [batch] && weights.is_none_or(|weights| weights.dims() == [k]);
    if !fits || !flex::is_flex(outputs) || weights.is_some_and(|weights| weights.dtype() != DType::F32) {
        return None;
    }
    let classes = classes.to_data().convert::<i64>().try_to_vec::<i64>().ok()?;
    let classes: Vec<u32> = classes.into_iter().map(u32::try_from).collect::<Result<_, _>>().ok()?;
    let weights = match weights {
        Some(weights) => Some(weights.to_data().try_to_vec::<f32>().ok()?),
        None => None,
    };
    let there = classes.iter().all(|&class| (class as usize) < k);
    there.then(|| Arc::new(Target { classes, weights, smoothing }))
}

/// Runs what [`target`] has approved.
pub(super) fn run(outputs: Tensor<2>, target: Arc<Target>) -> Tensor<1> {
    Tensor::from_dispatch(Dispatch::entropy(outputs.into_dispatch(), target))
}

/// The loss `[1]`, and its gradient if it is wanted.
fn forward(outputs: &FloatTensor<Flex>, target: &Target, tracked: bool) -> (FloatTensor<Flex>, FloatTensor<Flex>) {
    let [batch, k] = flex::dims(outputs);
    let mut gradient = vec![0.0; if tracked { batch * k } else { 0 }];
    let loss = target.loss(&flex::values(outputs), k, &mut gradient);
    (flex::tensor(vec![loss], [1]), flex::tensor(gradient, if tracked { [batch, k] } else { [0, 0] }))
}

impl CrossEntropy for Flex {
    fn entropy(outputs: FloatTensor<Self>, target: Arc<Target>) -> FloatTensor<Self> {
        forward(&outputs, &target, false).0
    }
}

#[derive(Debug)]
struct Entropy;

impl Backward<Flex, 1> for Entropy {
    /// The gradient for a loss that counts once.
    type State = FloatTensor<Flex>;

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let factor = flex::values(&grads.consume::<Flex>(&ops.node)).first().copied();
        let (mut gradient, [node]) = (ops.state, ops.parents);
        let Some(node) = node else { return };
        if let Some(factor) = factor.filter(|&factor| factor != 1.0) {
            gradient.storage_mut::<f32>().iter_mut().for_each(|value| *value *= factor);
        }
        grads.register::<Flex>(node.id, gradient);
    }
}

impl<C: CheckpointStrategy> CrossEntropy for Autodiff<Flex, C> {
    fn entropy(outputs: FloatTensor<Self>, target: Arc<Target>) -> FloatTensor<Self> {
        let prepared = Entropy.prepare::<C>([outputs.node()]).compute_bound().stateful();
        let outputs = outputs.into_primitive();
        match prepared {
            OpsKind::Tracked(prepared) => {
                let (loss, gradient) = forward(&outputs, &target, true);
                prepared.finish(gradient, loss)
            }
            OpsKind::UnTracked(prepared) => prepared.finish(forward(&outputs, &target, false).0),
        }
    }
}
