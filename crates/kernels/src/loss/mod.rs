//! Softmax cross-entropy and its gradient in one pass.

use burn::tensor::{Int, Tensor, activation::log_softmax};

#[cfg(feature = "flex")]
mod extension;
#[cfg(feature = "flex")]
mod rows;

/// Cross-entropy of `outputs` (logits, `[batch, classes]`) with the class of each sample, `[batch]`, as PyTorch's
/// `CrossEntropyLoss(weight, label_smoothing)` defines it: `weights` `[classes]` are what a sample of each class counts in the mean,
/// `smoothing` is how much of each target is spread evenly over the classes. `[1]`.
pub fn cross_entropy(
    outputs: Tensor<2>,
    classes: Tensor<1, Int>,
    weights: Option<Tensor<1>>,
    smoothing: f32,
) -> Tensor<1> {
    #[cfg(feature = "flex")]
    if let Some(target) = extension::target(&outputs, &classes, weights.as_ref(), smoothing) {
        return extension::run(outputs, target);
    }
    cross_entropy_composed(outputs, classes, weights, smoothing)
}

/// The definition of [`cross_entropy`], in Burn's operations.
pub fn cross_entropy_composed(
    outputs: Tensor<2>,
    classes: Tensor<1, Int>,
    weights: Option<Tensor<1>>,
    smoothing: f32,
) -> Tensor<1> {
    let [batch, k] = outputs.dims();
    let log_p = log_softmax(outputs, 1); // [batch, classes]
    let picked = log_p.clone().gather(1, classes.clone().reshape([batch, 1])).reshape([batch]); // [batch]
    match weights {
        None if smoothing == 0.0 => picked.mean().neg(),
        None => {
            let spread = log_p.sum().mul_scalar(-smoothing / (k * batch) as f32);
            spread - picked.mean().mul_scalar(1.0 - smoothing)
        }
        Some(weights) => {
            let of_sample = weights.clone().select(0, classes); // [batch]
            let total = of_sample.clone().sum();
            let mut loss = (picked * of_sample).sum().mul_scalar(smoothing - 1.0);
            if smoothing > 0.0 {
                loss = loss - (log_p * weights.reshape([1, k])).sum().mul_scalar(smoothing / k as f32);
            }
            loss / total
        }
    }
}
