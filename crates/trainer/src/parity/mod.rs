//! Whether a device computes what the CPU computes: augmentation, operations, layers, networks by name, losses, optimizers and ten steps of training, each
//! on both, one line for each. For users' machines, whose drivers no test of ours has seen. What is compared stands in the other files of
//! this folder; how, here.

mod batches;
mod layers;
mod learning;
mod networks;

use std::any::Any;
use std::panic::{self, AssertUnwindSafe};

use burn::tensor::{Device, Tensor, TensorData};
use data::random::{Purpose, Random};
use device::Found;

/// What a check is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// Inputs of a batch, augmented where the data set lies.
    Batch,
    /// A public operation of `kernels`, beside its definition in double precision.
    Operation,
    /// A network of one kind of layer.
    Layer,
    /// A network by name.
    Preset,
    /// A loss on outputs.
    Loss,
    /// Three updates by given gradients.
    Optimizer,
    /// Ten steps of training a network by name.
    Training,
}

/// What a device gave, beside the CPU.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Check {
    /// What it is about.
    pub part: Part,
    /// Which one, in words.
    pub name: String,
    /// Greatest difference of an output, relative to the greatest output: max|a - b| / max|b|. Infinite where only one is a number. Of
    /// optimizers and training: of the weights, of their state, of the losses.
    pub output: f64,
    /// The same of the gradients, each compared by itself; `None` where there are none.
    pub gradient: Option<f64>,
    /// What the device said instead of answering.
    pub failed: Option<String>,
}

impl Part {
    /// How far outputs and gradients may be apart. Operations are held against double precision, the others against single precision on the
    /// CPU, whose sums have another order; ten steps add up what one differs by.
    pub const fn limits(self) -> [f64; 2] {
        match self {
            Self::Batch => [0.0; 2],
            Self::Operation => [kernels::Check::OUTPUT, kernels::Check::GRADIENT],
            Self::Layer | Self::Preset | Self::Loss | Self::Optimizer => [1e-4, 1e-3],
            Self::Training => [1e-3, 1e-3],
        }
    }

    /// In a word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Batch => "batch",
            Self::Operation => "operation",
            Self::Layer => "layer",
            Self::Preset => "preset",
            Self::Loss => "loss",
            Self::Optimizer => "optimizer",
            Self::Training => "training",
        }
    }
}

impl Check {
    /// Whether the device computed what it should.
    pub fn passed(&self) -> bool {
        let [output, gradient] = self.part.limits();
        self.failed.is_none() && self.output <= output && self.gradient.is_none_or(|found| found <= gradient)
    }
}

/// Compares `device` with `reference`, a CPU, part by part; each line is shown as soon as it is known. Always the same numbers. On a GPU most
/// of the time goes into compiling its programs.
pub fn parity(device: &Device, reference: &Device, show: &mut dyn FnMut(&Check)) -> Vec<Check> {
    parts(device, reference, &|_| true, show)
}

/// What is to be known of a device before it is taken unasked: all but networks by name and their training, which take most of the time and are
/// made of the rest.
///
/// # Errors
/// As [`verdict`].
pub fn short(device: &Device, reference: &Device) -> Found {
    verdict(device, &parts(device, reference, &unasked, &mut |_| ()))
}

fn unasked(part: Part) -> bool {
    ![Part::Preset, Part::Training].contains(&part)
}

/// What `checks` of `device` come to, in words.
///
/// # Errors
/// That there is no answer which would hold another time: its memory ended, or it doesn't compute any more at all.
pub fn verdict(device: &Device, checks: &[Check]) -> Found {
    let wrong: Vec<_> = checks.iter().filter(|check| !check.passed()).collect();
    let Some(first) = wrong.first() else { return Ok(Ok(())) };
    if let Some(why) = wrong.iter().find_map(|check| check.failed.as_ref())
        && (device::is_memory(why) || device::computes(device).is_err())
    {
        return Err(device::one_line(why));
    }
    let (count, all, part) = (wrong.len(), checks.len(), first.part.name());
    Ok(Err(format!("{count} of {all} checks, such as {part} `{}`", first.name)))
}

fn parts(
    device: &Device,
    reference: &Device,
    wanted: &dyn Fn(Part) -> bool,
    show: &mut dyn FnMut(&Check),
) -> Vec<Check> {
    let [training, trained] = [device, reference].map(|device| device.clone().autodiff());
    let operations = kernels::checked().filter(|_| wanted(Part::Operation)).map(|operation| {
        let (part, name) = (Part::Operation, operation.operation.to_owned());
        match answered(|| operation.check(device, reference)) {
            Ok(found) => Check { part, name, output: found.output, gradient: found.gradient, failed: None },
            Err(why) => Check { part, name, output: f64::INFINITY, gradient: None, failed: Some(why) },
        }
    });
    let cases = cases().filter(|case| wanted(case.part));
    let others = cases.map(|Case { part, name, run }| compare(part, name, &*run, &training, &trained));
    let mut checks = Vec::new();
    for check in operations.chain(others) {
        show(&check);
        // Of a device that is lost nothing more is to be heard.
        let lost = check.failed.is_some() && device::computes(device).is_err();
        checks.push(check);
        if lost {
            break;
        }
    }
    checks
}

/// Computes something on a device; the error says why it cannot be.
type Run = Box<dyn Fn(&Device) -> Result<Outcome, String>>;

/// One line of what is compared.
struct Case {
    part: Part,
    name: String,
    run: Run,
}

impl Case {
    fn new(part: Part, name: impl Into<String>, run: impl Fn(&Device) -> Result<Outcome, String> + 'static) -> Self {
        Self { part, name: name.into(), run: Box::new(run) }
    }
}

fn cases() -> impl Iterator<Item = Case> {
    batches::cases()
        .into_iter()
        .chain(layers::cases())
        .chain(networks::cases())
        .chain(learning::losses())
        .chain(learning::optimizers())
}

/// What a case gave: rows of numbers that are compared each by itself.
#[derive(Default)]
struct Outcome {
    outputs: Vec<Vec<f64>>,
    gradients: Vec<Vec<f64>>,
}

fn compare(
    part: Part,
    name: String,
    run: &dyn Fn(&Device) -> Result<Outcome, String>,
    device: &Device,
    reference: &Device,
) -> Check {
    let (output, gradient, failed) = match (answered(|| run(device)), run(reference)) {
        (Ok(found), Ok(expected)) => (
            apart(&found.outputs, &expected.outputs, false).unwrap_or(f64::INFINITY),
            apart(&found.gradients, &expected.gradients, true),
            None,
        ),
        (Err(why), _) | (_, Err(why)) => (f64::INFINITY, None, Some(why)),
    };
    Check { part, name, output, gradient, failed }
}

/// What `work` comes to. Runtimes of GPUs panic where the driver fails them; that is an answer too.
fn answered<T>(work: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    panic::catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|cause| Err(said(&*cause)))
}

fn said(cause: &(dyn Any + Send)) -> String {
    let text = cause.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| cause.downcast_ref::<String>().cloned()).unwrap_or_else(|| "it panicked".to_owned());
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The greatest difference of any row; of gradients, those a thousand times smaller than the largest are held against that: what they add up
/// to is next to nothing, and mostly rounding. `None` where there are no rows.
fn apart(found: &[Vec<f64>], expected: &[Vec<f64>], floor: bool) -> Option<f64> {
    if found.len() != expected.len() {
        return Some(f64::INFINITY);
    }
    let greatest = |row: &Vec<f64>| row.iter().fold(0.0, |most: f64, x| most.max(x.abs()));
    let least = if floor { expected.iter().map(greatest).fold(0.0, f64::max) * 1e-3 } else { 0.0 };
    let relative = |(found, expected): (&Vec<f64>, &Vec<f64>)| {
        let (apart, size) = (kernels::difference(found, expected), greatest(expected));
        if size < least { apart * size.max(f64::MIN_POSITIVE) / least } else { apart }
    };
    found.iter().zip(expected).map(relative).reduce(f64::max)
}

/// A tensor's numbers.
fn values<const D: usize>(tensor: Tensor<D>) -> Result<Vec<f64>, String> {
    let data = tensor.try_into_data().map_err(|error| format!("{error:?}"))?;
    Ok(data.iter::<f64>().collect())
}

/// Numbers in -1..1, the same for the same `seed` everywhere.
fn random<const D: usize>(shape: [usize; D], seed: u32) -> TensorData {
    let mut random = Random::new(7, Purpose::Bench, seed, 2);
    let numbers: Vec<f32> = (0..shape.iter().product()).map(|_| random.range(-1.0, 1.0)).collect();
    TensorData::new(numbers, shape)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gradient_next_to_nothing_is_held_against_the_largest() {
        let expected = vec![vec![100.0, 1.0], vec![1e-6, -2e-6]];
        assert_eq!(apart(&expected, &expected, true), Some(0.0));
        let found = vec![vec![100.0, 1.0], vec![1e-6, -1e-6]];
        assert_eq!(apart(&found, &expected, false), Some(0.5));
        let small = apart(&found, &expected, true).unwrap();
        assert!((small - 1e-5).abs() < 1e-9, "{small}");
        assert_eq!(apart(&[], &[], true), None);
        assert_eq!(apart(&found[..1], &expected, false), Some(f64::INFINITY));
        let gone = vec![vec![f64::NAN, 1.0], vec![1e-6, -2e-6]];
        assert_eq!(apart(&gone, &expected, true), Some(f64::INFINITY));
    }

    #[test]
    fn a_device_that_gives_up_has_failed_and_says_why() {
        let cpu = device::select("cpu").unwrap().device;
        let panics = |_: &Device| -> Result<Outcome, String> { panic!("device\n lost") };
        let check = compare(Part::Layer, "x".into(), &panics_first(panics), &cpu, &cpu);
        assert!(!check.passed() && check.failed.as_deref() == Some("device lost"), "{check:?}");
    }

    #[test]
    fn a_wrong_number_is_an_answer_that_holds_and_memory_that_ended_is_none() {
        let cpu = device::select("cpu").unwrap().device;
        let check = |output, failed: Option<&str>| Check {
            part: Part::Layer,
            name: "x".into(),
            output,
            gradient: None,
            failed: failed.map(str::to_owned),
        };
        assert_eq!(verdict(&cpu, &[check(0.0, None)]), Ok(Ok(())));
        let wrong = Ok(Err("1 of 2 checks, such as layer `x`".to_owned()));
        assert_eq!(verdict(&cpu, &[check(0.0, None), check(1.0, None)]), wrong);
        assert_eq!(verdict(&cpu, &[check(0.0, None), check(f64::INFINITY, Some("no such shader"))]), wrong);
        let short = verdict(&cpu, &[check(1.0, None), check(f64::INFINITY, Some("out of memory\n at x"))]);
        assert_eq!(short, Err("out of memory at x".to_owned()));
    }

    #[test]
    fn what_a_device_must_pass_unasked_is_all_but_networks_by_name() {
        let cpu = device::select("cpu").unwrap().device;
        let mut seen: Vec<_> = parts(&cpu, &cpu, &unasked, &mut |_| ()).iter().map(|check| check.part.name()).collect();
        seen.dedup();
        assert_eq!(seen, ["operation", "batch", "layer", "loss", "optimizer"]);
        assert_eq!(short(&cpu, &cpu), Ok(Ok(())));
    }

    /// Panics once, as a device does; answers the second time, as the reference.
    fn panics_first(first: impl Fn(&Device) -> Result<Outcome, String>) -> impl Fn(&Device) -> Result<Outcome, String> {
        let asked = std::cell::Cell::new(false);
        move |device| if asked.replace(true) { Ok(Outcome::default()) } else { first(device) }
    }

    #[test]
    fn a_wrong_layer_loss_or_optimizer_is_seen() {
        let limits = |part: Part| part.limits();
        assert!(Part::Batch.limits() == [0.0; 2], "integers are the same everywhere");
        for part in [Part::Operation, Part::Layer, Part::Preset, Part::Loss, Part::Optimizer, Part::Training] {
            let [output, gradient] = limits(part);
            let check = |output, gradient| Check { part, name: String::new(), output, gradient, failed: None }.passed();
            assert!(check(output, Some(gradient)) && check(output, None));
            assert!(!check(output * 1.1, None) && !check(0.0, Some(gradient * 1.1)) && !check(f64::NAN, None));
        }
    }
}
