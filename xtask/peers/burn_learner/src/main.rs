//! The small CNN of `xtask/peers/crash.py`, trained with Burn's own learner as its book says: `burn_learner DIGITS.csv FOLDER`. Goes on
//! with the newest epoch that has all of its files in FOLDER/checkpoint; NAN_AT=N makes the loss of the N-th step of this process NaN.
//! Leaves counting to crash.py.

use std::error::Error;
use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};

use burn::data::dataloader::DataLoaderBuilder;
use burn::data::dataloader::batcher::Batcher;
use burn::data::dataset::InMemDataset;
use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::loss::CrossEntropyLossConfig;
use burn::nn::{BatchNorm, BatchNormConfig, Dropout, DropoutConfig, Linear, LinearConfig, PaddingConfig2d};
use burn::optim::SgdConfig;
use burn::optim::lr_scheduler::constant::ConstantLr;
use burn::optim::momentum::MomentumConfig;
use burn::tensor::activation::relu;
use burn::tensor::{Device, Distribution, Int, Tensor, TensorData};
use burn::train::metric::LossMetric;
use burn::train::{ClassificationOutput, InferenceStep, Learner, SupervisedTraining, TrainOutput, TrainStep};

const SIDE: usize = 8;
const TRAIN: usize = 480;
const VALID: usize = 120;
const BATCH: usize = 16;
const EPOCHS: usize = 6;
const SEED: u64 = 1;

static STEP: AtomicUsize = AtomicUsize::new(0);

#[derive(Clone, Debug)]
struct Digit {
    pixels: Vec<f32>,
    class: i32,
}

#[derive(Clone, Debug)]
struct Digits {
    images: Tensor<4>,
    classes: Tensor<1, Int>,
}

/// Adds a little noise to pictures to learn from: the augmentation.
struct Pictures {
    noise: bool,
}

impl Batcher<Digit, Digits> for Pictures {
    fn batch(&self, items: Vec<Digit>, device: &Device) -> Digits {
        let shape = [items.len(), 1, SIDE, SIDE];
        let pixels: Vec<f32> = items.iter().flat_map(|item| item.pixels.iter().copied()).collect();
        let classes: Vec<i32> = items.iter().map(|item| item.class).collect();
        let mut images = Tensor::<4>::from_data(TensorData::new(pixels, shape), device);
        if self.noise {
            images = images + Tensor::random(shape, Distribution::Normal(0.0, 0.1), device);
        }
        Digits { images, classes: Tensor::from_data(TensorData::new(classes, [shape[0]]), device) }
    }
}

#[derive(Module, Debug)]
struct Cnn {
    first: Conv2d,
    first_norm: BatchNorm,
    second: Conv2d,
    second_norm: BatchNorm,
    dropout: Dropout,
    head: Linear,
}

impl Cnn {
    fn new(device: &Device) -> Self {
        let conv = |inputs, outputs| {
            let config = Conv2dConfig::new([inputs, outputs], [3, 3]).with_padding(PaddingConfig2d::Same);
            config.with_stride([outputs / 8, outputs / 8]).init(device)
        };
        Self {
            first: conv(1, 8),
            first_norm: BatchNormConfig::new(8).init(device),
            second: conv(8, 16),
            second_norm: BatchNormConfig::new(16).init(device),
            dropout: DropoutConfig::new(0.2).init(),
            head: LinearConfig::new(16 * SIDE * SIDE / 4, 10).init(device),
        }
    }

    fn forward(&self, batch: Digits) -> ClassificationOutput {
        let hidden = relu(self.first_norm.forward(self.first.forward(batch.images)));
        let hidden = relu(self.second_norm.forward(self.second.forward(hidden)));
        let output = self.head.forward(self.dropout.forward(hidden.flatten(1, 3)));
        let loss = CrossEntropyLossConfig::new().init(&output.device()).forward(output.clone(), batch.classes.clone());
        ClassificationOutput::new(loss, output, batch.classes)
    }

    /// The bytes of everything that was learned. A saved record also holds ids that are drawn anew in each process.
    fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for conv in [&self.first, &self.second] {
            bytes.extend_from_slice(conv.weight.val().into_data().as_bytes());
        }
        for norm in [&self.first_norm, &self.second_norm] {
            for value in [norm.gamma.val(), norm.beta.val(), norm.running_mean.value(), norm.running_var.value()] {
                bytes.extend_from_slice(value.into_data().as_bytes());
            }
        }
        bytes.extend_from_slice(self.head.weight.val().into_data().as_bytes());
        bytes
    }
}

impl TrainStep for Cnn {
    type Input = Digits;
    type Output = ClassificationOutput;

    fn step(&self, batch: Digits) -> TrainOutput<ClassificationOutput> {
        let mut output = self.forward(batch);
        let nan_at = std::env::var("NAN_AT").ok().and_then(|text| text.parse().ok());
        if nan_at == Some(STEP.fetch_add(1, Ordering::Relaxed) + 1) {
            output.loss = output.loss.mul_scalar(f32::NAN);
        }
        TrainOutput::new(self, output.loss.backward(), output)
    }
}

impl InferenceStep for Cnn {
    type Input = Digits;
    type Output = ClassificationOutput;

    fn step(&self, batch: Digits) -> ClassificationOutput {
        self.forward(batch)
    }
}

/// 64 pixels of 0 to 16, then the class, in each line.
fn read(path: &str) -> Result<Vec<Digit>, Box<dyn Error>> {
    let parse = |line: &str| -> Result<Digit, Box<dyn Error>> {
        let numbers = line.split(',').map(str::parse).collect::<Result<Vec<f32>, _>>()?;
        let (class, pixels) = numbers.split_last().ok_or("an empty line")?;
        Ok(Digit { pixels: pixels.iter().map(|pixel| pixel / 16.0).collect(), class: *class as i32 })
    };
    fs::read_to_string(path)?.lines().take(TRAIN + VALID).map(parse).collect()
}

/// The newest epoch that the book's `.checkpoint(EPOCH)` could be given.
fn newest(folder: &Path) -> Option<usize> {
    let file = |name: &str, epoch: usize| folder.join(format!("checkpoint/{name}-{epoch}.bpk"));
    (1..=EPOCHS).rev().find(|&epoch| ["model", "optim", "scheduler"].iter().all(|name| file(name, epoch).exists()))
}

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, digits, folder] = &arguments[..] else { return Err("usage: burn_learner DIGITS.csv FOLDER".into()) };
    let folder = Path::new(folder);
    let device = Device::flex().autodiff();
    device.seed(SEED);
    let mut train = read(digits)?;
    let valid = train.split_off(TRAIN);
    let train = DataLoaderBuilder::new(Pictures { noise: true })
        .batch_size(BATCH)
        .shuffle(SEED)
        .build(InMemDataset::new(train));
    let valid = DataLoaderBuilder::new(Pictures { noise: false }).batch_size(BATCH).build(InMemDataset::new(valid));
    let optimizer = SgdConfig::new().with_momentum(Some(MomentumConfig::new())).init();
    let mut training = SupervisedTraining::new(folder, train, valid)
        .metric_train_numeric(LossMetric::new())
        .metric_valid_numeric(LossMetric::new())
        .with_default_checkpointers()
        .num_epochs(EPOCHS);
    if let Some(epoch) = newest(folder) {
        training = training.checkpoint(epoch);
    }
    println!("training");
    let result = training.launch(Learner::new(Cnn::new(&device), optimizer, ConstantLr::new(0.05)));
    if let Some(error) = result.error {
        eprintln!("{error}");
        return Ok(ExitCode::FAILURE);
    }
    let bytes = result.model.bytes();
    let finite = bytes.chunks_exact(4).all(|at| f32::from_le_bytes([at[0], at[1], at[2], at[3]]).is_finite());
    println!("the final weights are {}", if finite { "finite" } else { "not finite" });
    fs::write(folder.join("final"), bytes)?;
    Ok(ExitCode::SUCCESS)
}
