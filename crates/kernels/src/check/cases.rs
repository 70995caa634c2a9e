//! What is computed on both sides: each public operation once in each of the ways that it has on the CPU, at sizes that divide by
//! nothing, and a training step of a small network made of them.

use burn::tensor::{Int, Tensor, TensorData, ops::ConvOptions};

use super::{Lab, Outcome, gradient, values};
use crate::{
    Adam, After, Join, Sgd, Step, Window, adam, avg_pool2d, batch_norm, batch_norm_train, conv2d, conv2d_bridged,
    cross_entropy, flatten, global_average, linear, max_pool2d, sgd, subsample,
};

/// Computes one operation on the device and by its definition.
type Case = fn(&Lab) -> Outcome;

/// The operations by name.
pub(super) const CASES: &[(&str, Case)] = &[
    ("convolution, ReLU, maximum pooling", pooled),
    ("convolution, 5x5 with stride", strided),
    ("convolution in groups", grouped),
    ("convolution of each channel", depthwise),
    ("linear layer, ReLU", dense),
    ("convolution with a bridge over it", bridged_convolution),
    ("batch normalisation in training", normalised),
    ("batch normalisation, bridge, ReLU", bridged),
    ("maximum pooling, ReLU", greatest),
    ("average pooling", mean),
    ("mean of each channel", global),
    ("bridge with stride and more channels", subsampled),
    ("maps as rows", flat),
    ("cross-entropy, weighted, smoothed", weighed),
    ("updates by Adam", adam_steps),
    ("updates by SGD", sgd_steps),
    ("training step of a small CNN", step),
];

fn convolution(lab: &Lab, x: [usize; 4], weight: [usize; 4], options: ConvOptions<2>, after: After) -> Outcome {
    let (x, bias) = (lab.leaf(x, 1), lab.leaf([weight[0]], 3));
    let weight = lab.leaf(weight, 2);
    let out = conv2d(x.clone(), weight.clone(), Some(bias.clone()), options, after);
    lab.outcome(out, |of| vec![gradient(&x, of), gradient(&weight, of), gradient(&bias, of)])
}

fn pooled(lab: &Lab) -> Outcome {
    let after = After { relu: true, pool: Some(Window { size: 2, stride: 2, padding: 0 }) };
    convolution(lab, [5, 3, 19, 18], [20, 3, 3, 3], ConvOptions::new([1, 1], [1, 1], [1, 1], 1), after)
}

fn strided(lab: &Lab) -> Outcome {
    convolution(lab, [3, 17, 15, 16], [33, 17, 5, 5], ConvOptions::new([2, 2], [2, 2], [1, 1], 1), After::default())
}

fn bridged_convolution(lab: &Lab) -> Outcome {
    let (x, weight) = (lab.leaf([5, 16, 9, 11], 1), lab.leaf([16, 16, 3, 3], 2));
    let options = ConvOptions::new([1, 1], [1, 1], [1, 1], 1);
    let (out, bridge) = conv2d_bridged(x.clone(), weight.clone(), None, options, After::default());
    lab.outcome(out + bridge.mul_scalar(3.0), |of| vec![gradient(&x, of), gradient(&weight, of)])
}

fn grouped(lab: &Lab) -> Outcome {
    let options = ConvOptions::new([1, 1], [1, 1], [1, 1], 3);
    convolution(lab, [4, 12, 11, 9], [18, 4, 3, 3], options, After { relu: true, pool: None })
}

fn depthwise(lab: &Lab) -> Outcome {
    let options = ConvOptions::new([1, 1], [1, 1], [1, 1], 37);
    convolution(lab, [4, 37, 11, 9], [37, 1, 3, 3], options, After::default())
}

fn dense(lab: &Lab) -> Outcome {
    let (x, weight, bias) = (lab.leaf([33, 70], 1), lab.leaf([70, 45], 2), lab.leaf([45], 3));
    let out = linear(x.clone(), weight.clone(), Some(bias.clone()), true);
    lab.outcome(out, |of| vec![gradient(&x, of), gradient(&weight, of), gradient(&bias, of)])
}

fn normalised(lab: &Lab) -> Outcome {
    let (x, weight, bias) = (lab.leaf([6, 21, 9, 7], 1), lab.leaf([21], 2), lab.leaf([21], 3));
    let (out, _) = batch_norm_train(x.clone(), [weight.clone(), bias.clone()], 1e-5, Join { bridge: None, relu: true });
    lab.outcome(out, |of| vec![gradient(&x, of), gradient(&weight, of), gradient(&bias, of)])
}

fn bridged(lab: &Lab) -> Outcome {
    let (x, bridge) = (lab.leaf([6, 21, 9, 7], 1), lab.leaf([6, 21, 9, 7], 4));
    let (weight, bias) = (lab.leaf([21], 2), lab.leaf([21], 3));
    let statistics = [lab.random([21], 5), lab.random([21], 6).abs().add_scalar(0.5)];
    let after = Join { bridge: Some(bridge.clone()), relu: true };
    let out = batch_norm(x.clone(), [weight.clone(), bias.clone()], statistics, 1e-5, after);
    lab.outcome(out, |of| vec![gradient(&x, of), gradient(&bridge, of), gradient(&weight, of), gradient(&bias, of)])
}

/// What `pool` makes of a map.
fn pooled_map<const D: usize>(lab: &Lab, pool: impl FnOnce(Tensor<4>) -> Tensor<D>) -> Outcome {
    let x = lab.leaf([5, 19, 9, 8], 1);
    let out = pool(x.clone());
    lab.outcome(out, |of| vec![gradient(&x, of)])
}

fn greatest(lab: &Lab) -> Outcome {
    pooled_map(lab, |x| max_pool2d(x, Window { size: 3, stride: 2, padding: 1 }, true))
}

fn mean(lab: &Lab) -> Outcome {
    pooled_map(lab, |x| avg_pool2d(x, Window { size: 2, stride: 2, padding: 1 }))
}

fn global(lab: &Lab) -> Outcome {
    pooled_map(lab, global_average)
}

fn subsampled(lab: &Lab) -> Outcome {
    pooled_map(lab, |x| subsample(x, 2, 3, 4))
}

fn flat(lab: &Lab) -> Outcome {
    // Something that computes, so that the precisions differ.
    pooled_map(lab, |x| flatten(x).mul_scalar(0.1))
}

fn weighed(lab: &Lab) -> Outcome {
    let (outputs, weights) = (lab.leaf([37, 11], 1), lab.random([11], 2).abs().add_scalar(0.5));
    let loss = cross_entropy(outputs.clone(), classes(lab, 37, 11), Some(weights), 0.1);
    lab.outcome(loss, |of| vec![gradient(&outputs, of)])
}

fn classes(lab: &Lab, rows: i32, classes: i32) -> Tensor<1, Int> {
    let classes: Vec<i32> = (0..rows).map(|row| row * 7 % classes).collect();
    Tensor::from_data(TensorData::new(classes, [rows as usize]), &lab.device)
}

/// A convolution, two linear layers, the cross-entropy: the loss, and the gradients of all weights.
fn step(lab: &Lab) -> Outcome {
    let (kernel, shift) = (lab.leaf([8, 1, 3, 3], 1), lab.leaf([8], 2));
    let (hidden, lift) = (lab.leaf([8 * 5 * 5, 32], 3), lab.leaf([32], 4));
    let output = lab.leaf([32, 10], 5);
    let after = After { relu: true, pool: Some(Window { size: 2, stride: 2, padding: 0 }) };
    let x = conv2d(
        lab.random([16, 1, 10, 10], 6),
        kernel.clone(),
        Some(shift.clone()),
        ConvOptions::new([1, 1], [1, 1], [1, 1], 1),
        after,
    );
    let x = linear(x.flatten(1, 3).mul_scalar(0.1), hidden.clone(), Some(lift.clone()), true);
    let logits = linear(x, output.clone(), None, false);
    let loss = cross_entropy(logits, classes(lab, 16, 10), None, 0.0);
    lab.outcome(loss, |of| {
        let convolution = [gradient(&kernel, of), gradient(&shift, of)];
        let linear = [gradient(&hidden, of), gradient(&lift, of), gradient(&output, of)];
        convolution.into_iter().chain(linear).collect()
    })
}

/// Three steps of Adam with weight decay and a clip factor: parameters and averages.
fn adam_steps(lab: &Lab) -> Outcome {
    let rule = Adam { beta1: 0.9, beta2: 0.99, eps: 1e-8, decoupled: false };
    let (mut param, mut averages) = (lab.random([1003], 1).inner(), None);
    for number in 1..=3 {
        let step = Step { lr: 0.01, weight_decay: 0.1, scale: 0.5, number };
        let (next, moved) = adam(rule, param, lab.random([1003], 1 + number).inner(), averages, step);
        (param, averages) = (next, Some(moved));
    }
    let output = std::iter::once(param).chain(averages.into_iter().flatten());
    let output = output.map(values).collect::<Result<Vec<_>, _>>();
    Outcome { output: output.map(|all| all.concat()), gradients: Vec::new() }
}

/// Three steps of SGD with Nesterov's momentum and weight decay: the parameters.
fn sgd_steps(lab: &Lab) -> Outcome {
    let rule = Sgd { momentum: 0.9, dampening: 0.0, nesterov: true };
    let (mut param, mut momentum) = (lab.random([1003], 1).inner(), None);
    for number in 1..=3 {
        let step = Step { lr: 0.1, weight_decay: 0.1, scale: 1.0, number };
        (param, momentum) = sgd(rule, param, lab.random([1003], 1 + number).inner(), momentum, step);
    }
    Outcome { output: values(param), gradients: Vec::new() }
}
