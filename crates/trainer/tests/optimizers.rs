//! Optimizers, clipping, averaging and schedules against PyTorch's numbers: `golden/optimizers.py` made `golden/optimizers.json`.
#![expect(clippy::unwrap_used, reason = "a failed step of a test is a failed test")]

use burn::module::{Module, Param, ParamId, RunningState};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor, TensorData};
use serde_json::Value;
use trainer::StateError;
use trainer::ema::Ema;
use trainer::gradient::{self, Accumulator, NotFinite};
use trainer::optimizer::{Optimizer, OptimizerConfig, parameters_by_path};
use trainer::schedule::{Plateau, Schedule, ScheduleConfig};

/// `x W^T + b`, with the weight as `[out, in]`, and running statistics beside it that nobody trains.
#[derive(Module, Debug)]
struct Affine {
    weight: Param<Tensor<2>>,
    bias: Param<Tensor<1>>,
    seen: RunningState<Tensor<1>>,
}

impl Affine {
    fn loss(&self, x: Tensor<2>, y: Tensor<2>) -> Tensor<1> {
        (x.matmul(self.weight.val().transpose()) + self.bias.val().unsqueeze() - y).square().sum().mul_scalar(0.5)
    }

    fn grads(&self, golden: &Golden) -> GradientsParams {
        self.grads_of(golden.matrix("x"), golden.matrix("y"))
    }

    fn grads_of(&self, x: Tensor<2>, y: Tensor<2>) -> GradientsParams {
        GradientsParams::from_grads(self.loss(x, y).backward(), self)
    }

    fn numbers(&self) -> Vec<f32> {
        let mut numbers = self.weight.val().into_data().try_to_vec::<f32>().unwrap();
        numbers.extend(self.bias.val().into_data().try_to_vec::<f32>().unwrap());
        numbers
    }
}

struct Golden(Value);

impl Golden {
    fn read() -> Self {
        Self(serde_json::from_str(include_str!("golden/optimizers.json")).unwrap())
    }

    fn device() -> Device {
        Device::default().autodiff()
    }

    fn matrix(&self, key: &str) -> Tensor<2> {
        let rows = self.0[key].as_array().unwrap();
        let shape = [rows.len(), rows[0].as_array().unwrap().len()];
        Tensor::from_data(
            TensorData::new(floats(rows.iter().flat_map(|row| row.as_array().unwrap())), shape),
            &Self::device(),
        )
    }

    fn model(&self) -> Affine {
        let bias = floats(self.0["bias"].as_array().unwrap());
        Affine {
            weight: Param::from_tensor(self.matrix("weight")),
            bias: Param::from_data(TensorData::new(bias, [3]), &Self::device()),
            seen: RunningState::new(Tensor::from_data([1.0, 2.0], &Self::device())),
        }
    }

    fn lr(&self) -> f64 {
        self.0["lr"].as_f64().unwrap()
    }

    fn list(&self, key: &str) -> &[Value] {
        self.0[key].as_array().unwrap()
    }
}

fn floats<'a>(values: impl IntoIterator<Item = &'a Value>) -> Vec<f32> {
    values.into_iter().map(|value| value.as_f64().unwrap() as f32).collect()
}

fn expected(step: &Value) -> Vec<f32> {
    floats(step["weight"].as_array().unwrap().iter().chain(step["bias"].as_array().unwrap()))
}

/// Five steps of f32 arithmetic in another order: a few units in the last place, counted against numbers of about 1.
fn assert_close(found: &[f32], expected: &[f32], what: &str) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        let error = (found - expected).abs() / expected.abs().max(0.5);
        assert!(error < 2e-6, "{what}: {found} instead of {expected}");
    }
}

#[test]
fn every_optimizer_takes_pytorchs_steps() {
    let golden = Golden::read();
    for case in golden.list("optimizers") {
        let config: OptimizerConfig = serde_json::from_value(case["config"].clone()).unwrap();
        config.check().unwrap();
        let mut model = golden.model();
        let mut optimizer = Optimizer::new(&config, parameters_by_path(&model));
        for (number, step) in case["trace"].as_array().unwrap().iter().enumerate() {
            let grads = model.grads(&golden);
            model = optimizer.step(model, grads, golden.lr());
            assert_close(&model.numbers(), &expected(step), &format!("{} step {number}", case["config"]));
        }
        assert!(model.weight.is_require_grad() && !model.seen.value().is_require_grad());
        assert_eq!(model.seen.value().into_data().try_to_vec::<f32>().unwrap(), [1.0, 2.0], "running statistics moved");
    }
}

#[test]
fn clipping_is_pytorchs() {
    let golden = Golden::read();
    let config: OptimizerConfig = toml::from_str("name = 'sgd'\nmomentum = 0.9").unwrap();
    for (key, by_norm) in [("clip_norm", true), ("clip_value", false)] {
        for case in golden.list(key) {
            let max = case["max"].as_f64();
            let (norm, value) = if by_norm { (max, None) } else { (None, max) };
            let mut model = golden.model();
            let mut optimizer = Optimizer::new(&config, parameters_by_path(&model));
            for step in case["trace"].as_array().unwrap() {
                let grads = model.grads(&golden);
                if let Some(expected) = step["norm"].as_f64() {
                    let norm = gradient::norm(&model, &grads);
                    assert!((norm - expected).abs() < 2e-6 * expected, "{norm} instead of {expected}");
                }
                let (grads, scale) = gradient::clip(&model, grads, norm, value).unwrap();
                model = optimizer.step_scaled(model, grads, golden.lr(), scale);
                assert_close(&model.numbers(), &expected(step), &format!("{key} {max:?}"));
            }
        }
    }
}

#[test]
fn the_state_read_back_takes_the_very_same_steps() {
    let golden = Golden::read();
    for case in golden.list("optimizers") {
        let config: OptimizerConfig = serde_json::from_value(case["config"].clone()).unwrap();
        let step = |model: Affine, optimizer: &mut Optimizer| {
            let grads = model.grads(&golden);
            optimizer.step(model, grads, golden.lr())
        };
        let mut model = golden.model();
        let mut first = Optimizer::new(&config, parameters_by_path(&model));
        for _ in 0..3 {
            model = step(model, &mut first);
        }
        let mut second = Optimizer::new(&config, parameters_by_path(&model));
        second.load_state(&model, first.state()).unwrap();
        let (mut one, mut other) = (model.clone(), model);
        for _ in 0..2 {
            (one, other) = (step(one, &mut first), step(other, &mut second));
        }
        assert_eq!(one.numbers(), other.numbers(), "{}", case["config"]);
        assert_eq!(first.state(), second.state());
    }
}

#[test]
fn a_state_that_does_not_fit_is_refused_and_changes_nothing() {
    let golden = Golden::read();
    let model = golden.model();
    let adam = OptimizerConfig::named("adam").unwrap();
    let mut optimizer = Optimizer::new(&adam, parameters_by_path(&model));
    let grads = model.grads(&golden);
    let model = optimizer.step(model, grads, 0.1);
    let good = optimizer.state();
    let with = |name: &str, data: TensorData| {
        let mut state = good.clone();
        state.retain(|(other, _)| other != name);
        state.push((name.to_owned(), data));
        state
    };
    let missing = good.iter().filter(|(name, _)| name != "bias.exp_avg").cloned().collect::<Vec<_>>();
    assert!(
        matches!(optimizer.load_state(&model, missing), Err(StateError::Missing { name }) if name == "bias.exp_avg")
    );
    for (name, data) in [
        ("bias.exp_avg", TensorData::new(vec![1f32; 4], [4])),
        ("bias.exp_avg", TensorData::new(vec![1f64; 3], [3])),
        ("weight.step", TensorData::new(vec![1i32], [1])),
    ] {
        let result = optimizer.load_state(&model, with(name, data));
        assert!(matches!(&result, Err(StateError::Shape { name: found, .. }) if found == name), "{result:?}");
    }
    for name in ["bias.momentum_buffer", "head.exp_avg", "", "."] {
        let result = optimizer.load_state(&model, with(name, TensorData::new(vec![1f32; 3], [3])));
        assert!(matches!(&result, Err(StateError::Unknown { .. })), "{result:?}");
    }
    assert_eq!(optimizer.state(), good);
}

#[test]
fn names_given_are_the_names_of_the_state_and_spare_from_decay() {
    let golden = Golden::read();
    let model = golden.model();
    let mut parameters = parameters_by_path(&model);
    for info in parameters.values_mut() {
        (info.name, info.decays) = (format!("layer1.{}", info.name), false);
    }
    let config = OptimizerConfig::named("adamw").unwrap();
    let step = |config: &OptimizerConfig| {
        let (model, mut optimizer) = (golden.model(), Optimizer::new(config, parameters_by_path(&golden.model())));
        let grads = model.grads(&golden);
        optimizer.step(model, grads, 0.1).numbers()
    };
    let mut optimizer = Optimizer::new(&config, parameters);
    let grads = model.grads(&golden);
    let model = optimizer.step(model, grads, 0.1);
    assert_eq!(model.numbers(), step(&config.clone().with_weight_decay(0.0)));
    assert_ne!(model.numbers(), step(&config));
    let names: Vec<String> = optimizer.state().into_iter().map(|(name, _)| name).collect();
    let expected =
        ["bias.exp_avg", "bias.exp_avg_sq", "bias.step", "weight.exp_avg", "weight.exp_avg_sq", "weight.step"];
    assert_eq!(names, expected.map(|name| format!("layer1.{name}")));
}

#[test]
fn micro_batches_average_to_the_whole_batch_whatever_their_sizes() {
    let golden = Golden::read();
    let (x, y, model) = (golden.matrix("x"), golden.matrix("y"), golden.model());
    let mean = |x: Tensor<2>, y: Tensor<2>| {
        let rows = x.dims()[0] as f64;
        GradientsParams::from_grads(model.loss(x, y).div_scalar(rows).backward(), &model)
    };
    let whole = mean(x.clone(), y.clone());
    let mut accumulator = Accumulator::new();
    for (from, to) in [(0, 4), (4, 5), (5, 6)] {
        let grads = mean(x.clone().narrow(0, from, to - from), y.clone().narrow(0, from, to - from));
        accumulator.add(&model, grads, (to - from) as f64);
    }
    assert_eq!((accumulator.weight(), accumulator.batches()), (6.0, 3));
    let parts = accumulator.mean();
    let values =
        |grads: &GradientsParams, id: ParamId| grads.get::<2>(id).unwrap().into_data().try_to_vec::<f32>().unwrap();
    assert_close(&values(&parts, model.weight.id), &values(&whole, model.weight.id), "accumulated");
    let mut accumulator = Accumulator::new();
    accumulator.add(&model, mean(x.clone(), y.clone()), 6.0);
    assert_eq!(
        values(&accumulator.mean(), model.weight.id),
        values(&whole, model.weight.id),
        "one part is taken as it is"
    );
}

#[test]
fn a_gradient_that_is_not_finite_is_named() {
    let golden = Golden::read();
    let model = golden.model();
    assert_eq!(gradient::first_not_finite(&model, &model.grads(&golden)), None);
    for (bad, what) in [(f32::NAN, "is NaN"), (f32::NEG_INFINITY, "is infinite"), (1e30, "is too large for f32")] {
        let mut grads = model.grads(&golden);
        grads.register(model.bias.id, Tensor::<1>::from_data([0.0, bad, 1.0], &Device::default()));
        let fault = NotFinite { parameter: "bias".into(), what };
        assert_eq!(gradient::first_not_finite(&model, &grads), Some(fault.clone()));
        assert_eq!(gradient::clip(&model, grads, Some(1.0), None).err(), Some(fault));
    }
}

#[test]
fn schedules_are_pytorchs() {
    let golden = Golden::read();
    let all = &golden.0["schedules"];
    let (total, epoch) = (all["total"].as_u64().unwrap(), all["epoch"].as_u64().unwrap());
    for case in all["cases"].as_array().unwrap() {
        let config: ScheduleConfig = serde_json::from_value(case["config"].clone()).unwrap();
        let schedule = Schedule::new(&config, all["base"].as_f64().unwrap(), Plateau::default());
        for (step, expected) in (0..).zip(case["lr"].as_array().unwrap()) {
            let (found, expected) = (schedule.lr(step, total, epoch), expected.as_f64().unwrap());
            // PyTorch multiplies some of them up step by step.
            assert!((found - expected).abs() < 1e-12, "{} at {step}: {found} instead of {expected}", case["config"]);
        }
    }
}

#[test]
fn plateau_is_pytorchs_and_goes_on_from_its_state() {
    for case in Golden::read().list("plateau") {
        let config: ScheduleConfig = serde_json::from_value(case["config"].clone()).unwrap();
        let mut schedule = Schedule::new(&config, 0.2, Plateau::default());
        for (value, expected) in case["values"].as_array().unwrap().iter().zip(case["lr"].as_array().unwrap()) {
            let saved = serde_json::to_string(schedule.state()).unwrap();
            schedule = Schedule::new(&config, 0.2, serde_json::from_str(&saved).unwrap());
            let before = schedule.lr(0, 1, 1);
            let reduced = schedule.epoch_ended(value.as_f64().unwrap(), case["higher"].as_bool().unwrap());
            let (found, expected) = (schedule.lr(0, 1, 1), expected.as_f64().unwrap());
            assert!((found - expected).abs() < 1e-12, "{}: {found} instead of {expected}", case["config"]);
            assert_eq!(reduced, found < before);
        }
    }
}

#[test]
fn averaged_weights_follow_the_formula_and_their_state_goes_on() {
    let golden = Golden::read();
    let mut model = golden.model();
    let mut optimizer = Optimizer::new(&OptimizerConfig::named("sgd").unwrap(), parameters_by_path(&model));
    let mut ema = Ema::new(&model, 0.3);
    let mut expected: Vec<f64> = model.numbers().into_iter().map(f64::from).collect();
    for t in 1..=4 {
        let grads = model.grads(&golden);
        model = optimizer.step(model, grads, 0.05);
        model.seen.update(Tensor::from_data([t as f32, 0.0], &Golden::device()));
        ema.update(&model);
        let decay = f64::min(0.3, (1.0 + t as f64) / (10.0 + t as f64));
        for (average, weight) in expected.iter_mut().zip(model.numbers()) {
            *average = decay * *average + (1.0 - decay) * f64::from(weight);
        }
        let mut resumed = Ema::new(&model, 0.3);
        resumed.load_state(ema.state()).unwrap();
        assert_eq!((resumed.updates(), resumed.state()), (t, ema.state()));
        ema = resumed;
    }
    let averaged = ema.model(&model);
    let expected: Vec<f32> = expected.into_iter().map(|value| value as f32).collect();
    assert_close(&averaged.numbers(), &expected, "average");
    assert!(!averaged.weight.val().is_autodiff());
    // Running statistics are averaged too (they start at 1, 2), and the model keeps its own.
    let statistics = averaged.seen.value().into_data().try_to_vec::<f32>().unwrap();
    let mut first = 1.0;
    for t in 1..=4 {
        let decay = f64::min(0.3, (1.0 + f64::from(t)) / (10.0 + f64::from(t)));
        first = decay * first + (1.0 - decay) * f64::from(t);
    }
    assert_close(&statistics[..1], &[first as f32], "statistics");
    assert_eq!(model.seen.value_sync().into_data().try_to_vec::<f32>().unwrap(), [4.0, 0.0]);
}

#[test]
fn averaged_weights_of_another_model_are_refused() {
    let golden = Golden::read();
    let model = golden.model();
    let mut ema = Ema::new(&model, 0.9);
    let state = ema.state();
    let missing = state.iter().filter(|(name, _)| name != "bias").cloned().collect();
    assert!(matches!(ema.load_state(missing), Err(StateError::Missing { name }) if name == "bias"));
    let more = state.iter().cloned().chain([("extra".into(), TensorData::new(vec![1f32], [1]))]).collect();
    assert!(matches!(ema.load_state(more), Err(StateError::Unknown { name, .. }) if name == "extra"));
    assert_eq!(ema.state(), state);
}

#[test]
fn constants_out_of_range_and_unknown_keys_are_named() {
    let error = |text: &str| toml::from_str::<OptimizerConfig>(text).unwrap_err().to_string();
    assert!(error("name = 'adamw'\nmomentum = 0.9").contains("momentum"));
    assert!(error("name = 'adamax'").contains("adamax"));
    let check = |text: &str| toml::from_str::<OptimizerConfig>(text).unwrap().check().unwrap_err();
    assert_eq!(check("name = 'adam'\nbeta2 = 1.0"), "beta2 is 1, expected 0 <= beta2 < 1");
    assert_eq!(check("name = 'sgd'\nnesterov = true"), "nesterov needs a momentum above 0 and a dampening of 0");
    assert_eq!(check("name = 'lion'\nweight_decay = -1.0"), "weight_decay is -1, expected 0 or a number above");
    assert_eq!(check("name = 'rmsprop'\neps = 0.0"), "eps is 0, expected a number above 0");
    for name in OptimizerConfig::NAMES {
        let config = OptimizerConfig::named(name).unwrap();
        config.check().unwrap();
        assert_eq!(&config.name(), name);
        assert_eq!(toml::from_str::<OptimizerConfig>(&toml::to_string(&config).unwrap()).unwrap(), config);
    }
}
