//! Any configuration makes a network that computes what its summary says, or a clear error; never a panic, a hang or a NaN.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test")]

use burn::{
    optim::GradientsParams,
    tensor::{Device, Tensor},
};
use data::{Filter, Fit, ImageSpec, InputSpec};
use models::{
    Activation, CnnConfig, Custom, Error, HeadConfig, HeadPool, Init, Kind, MlpConfig, ModelConfig, Normalisation,
    Padding, Pass, PoolConfig, PoolKind, Residual, StageConfig, named_tensors, summary,
};
use proptest::{collection::vec, prelude::*, sample::select};
use serde_json::json;

fn image([channels, height, width]: [usize; 3]) -> InputSpec {
    let (mean, std) = (vec![0.0; channels], vec![1.0; channels]);
    InputSpec::Image(ImageSpec { channels, height, width, fit: Fit::Crop, filter: Filter::Triangle, mean, std })
}

prop_compose! {
    fn stage()(
        filters in 1..7usize, kernel in 1..5usize, stride in 1..4usize, groups in select(vec![1usize, 1, 1, 2]), repeat in 1..3usize,
        padding in prop_oneof![Just(Padding::Same), Just(Padding::Valid), (0..3usize).prop_map(Padding::Each), Just(Padding::To(9))],
        norm in select(Normalisation::ALL), activation in select(Activation::ALL), residual in select(Residual::ALL),
        between in prop::option::of(1..4usize),
        pool in prop::option::of((select(PoolKind::ALL), 1..4usize, prop::option::of(1..4usize), 0..2usize)),
        dropout in select(vec![0.0, 0.4]),
    ) -> StageConfig {
        let pool = pool.map(|(kind, size, stride, pad)| PoolConfig { kind, size, stride, padding: pad.min(size / 2) });
        let bottleneck = between.map(|between| between * groups).filter(|_| residual != Residual::None);
        StageConfig { filters, kernel, stride, padding, groups, norm, activation, residual, bottleneck, repeat, pool, dropout }
    }
}

prop_compose! {
    fn network()(
        stages in vec(stage(), 1..4), pool in select(HeadPool::ALL), hidden in vec(1..6usize, 0..3), norm in select(Normalisation::ALL),
        activation in select(Activation::ALL), dropout in select(vec![0.0, 0.4]), init in select(Init::ALL),
    ) -> ModelConfig {
        ModelConfig::Cnn(CnnConfig { stages, head: HeadConfig { pool, hidden, activation, norm, dropout }, init })
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, max_global_rejects: 10_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_cnn_computes_what_its_summary_says(
        config in network(), shape in [1..4usize, 1..12usize, 1..12usize], outputs in 1..4usize, batch in 1..3usize,
    ) {
        let input = image(shape);
        let layers = match summary(&config, &input, outputs) {
            Ok(layers) => layers,
            Err(error) => {
                prop_assert!(error.is_usage() && error.to_string().starts_with("stage "), "{}", error);
                return Err(TestCaseError::reject("no network"));
            }
        };
        let device = Device::flex().autodiff();
        let model = config.init(&input, outputs, 1, &device).unwrap();
        let learnt: usize =
            named_tensors(&model).iter().filter(|t| t.kind != Kind::Running).map(|t| t.data.num_elements()).sum();
        prop_assert_eq!(learnt as u64, layers.iter().map(|layer| layer.parameters).sum::<u64>());
        let x = Tensor::random([batch, shape[0], shape[1], shape[2]], burn::tensor::Distribution::Default, &device);
        for pass in [Pass::Train { seed: 1, step: 2, first: 0 }, Pass::Predict] {
            let y = model.forward(x.clone(), pass);
            prop_assert_eq!(y.dims(), [batch, outputs]);
            let loss = y.powi_scalar(2).mean();
            prop_assert!(loss.to_data().as_slice::<f32>().unwrap()[0].is_finite());
            GradientsParams::from_grads(loss.backward(), &model);
        }
        let json = serde_json::to_string(&config).unwrap();
        prop_assert_eq!(serde_json::from_str::<ModelConfig>(&json).unwrap(), config);
    }
}

fn refused(config: &ModelConfig, shape: [usize; 3]) -> String {
    summary(config, &image(shape), 10).unwrap_err().to_string()
}

fn one_stage(stage: StageConfig) -> ModelConfig {
    ModelConfig::Cnn(CnnConfig { stages: vec![stage], ..CnnConfig::default() })
}

#[test]
fn a_network_that_cannot_be_says_where_and_why() {
    let cnn = ModelConfig::Cnn(CnnConfig::from_filters(&[8, 8, 8, 8]));
    assert_eq!(
        refused(&cnn, [1, 8, 8]),
        "stage 4: a 1x1 map cannot be pooled by 2; pool less in this stage or before it, or use larger images"
    );
    assert_eq!(
        refused(&ModelConfig::named("lenet5").unwrap(), [3, 64, 64]),
        "stage 1: a 64x64 map is larger than padding `to 32` makes it; resize the images"
    );
    let valid = StageConfig { kernel: 5, padding: Padding::Valid, ..StageConfig::default() };
    assert!(refused(&one_stage(valid), [1, 4, 9]).starts_with("stage 1: a 5x5 kernel doesn't fit a 4x9 map"));
    let grouped = StageConfig { groups: 2, ..StageConfig::default() };
    assert_eq!(refused(&one_stage(grouped), [3, 9, 9]), "stage 1: 2 groups don't divide 3 channels before it");
    let bridged = StageConfig { residual: Residual::Project, padding: Padding::Valid, ..StageConfig::default() };
    assert!(refused(&one_stage(bridged), [3, 9, 9]).contains("needs padding `same`, not `valid`"));
    let narrower = StageConfig { residual: Residual::Pad, filters: 2, ..StageConfig::default() };
    assert!(refused(&one_stage(narrower), [3, 9, 9]).contains("use residual `project`"));
    let dropping = ModelConfig::Mlp(MlpConfig { dropout: 1.0, ..MlpConfig::default() });
    assert_eq!(refused(&dropping, [1, 8, 8]), "dropout: the probability must be at least 0 and below 1, not 1");
    let nan = ModelConfig::Mlp(MlpConfig { dropout: f64::NAN, ..MlpConfig::default() });
    assert!(refused(&nan, [1, 8, 8]).contains("not NaN"));
    assert!(
        refused(&ModelConfig::Mlp(MlpConfig::with_hidden([3, 0])), [1, 8, 8])
            .starts_with("hidden layer 2: units must be 1")
    );
}

#[test]
fn absurd_sizes_are_refused_before_anything_is_allocated() {
    let huge = usize::MAX;
    let stages = [
        StageConfig { filters: huge, ..StageConfig::default() },
        StageConfig { kernel: huge, ..StageConfig::default() },
        StageConfig { stride: huge, ..StageConfig::default() },
        StageConfig { groups: huge, ..StageConfig::default() },
        StageConfig { repeat: huge, ..StageConfig::default() },
        StageConfig { padding: Padding::Each(huge), ..StageConfig::default() },
        StageConfig { padding: Padding::To(huge), ..StageConfig::default() },
        StageConfig { pool: Some(PoolConfig::max(huge)), ..StageConfig::default() },
        StageConfig { filters: 1 << 20, kernel: 1024, padding: Padding::Same, repeat: 1000, ..StageConfig::default() },
        StageConfig { filters: 0, ..StageConfig::default() },
        StageConfig { stride: 0, ..StageConfig::default() },
        StageConfig { kernel: 0, ..StageConfig::default() },
        StageConfig { pool: Some(PoolConfig { stride: Some(0), ..PoolConfig::max(2) }), ..StageConfig::default() },
        StageConfig { pool: Some(PoolConfig { padding: huge, ..PoolConfig::max(2) }), ..StageConfig::default() },
        StageConfig { pool: Some(PoolConfig { padding: 2, ..PoolConfig::max(3) }), ..StageConfig::default() },
        StageConfig { bottleneck: Some(8), ..StageConfig::default() },
        StageConfig { bottleneck: Some(0), residual: Residual::Project, ..StageConfig::default() },
        StageConfig { bottleneck: Some(huge), residual: Residual::Project, ..StageConfig::default() },
    ];
    for stage in stages {
        refused(&one_stage(stage), [3, 32, 32]);
    }
    let wide = ModelConfig::Mlp(MlpConfig::with_hidden([1 << 20, 1 << 20]));
    assert!(refused(&wide, [1, 8, 8]).contains("more than a thousand million parameters"));
    assert!(refused(&wide, [1, huge, huge]).starts_with("input: height"));
    let config = ModelConfig::named("cnn").unwrap();
    assert!(summary(&config, &image([3, 8, 8]), huge).is_err());
    assert!(summary(&config, &image([3, 8, 8]), 0).is_err());
    assert!(refused(&config, [3, 4096, 4096]).contains("one sample would become"));
}

fn table(std: f32) -> InputSpec {
    let kind = json!({"type": "numeric", "fill": 0, "mean": 2, "std": std, "indicator": true});
    let columns = json!([{"name": "age", "position": 0, "kind": kind}]);
    serde_json::from_value(json!({"kind": "table", "columns": columns})).unwrap()
}

#[test]
fn tables_go_into_perceptrons_and_are_normalised_there() {
    let device = Device::flex();
    let linear = ModelConfig::Mlp(MlpConfig { init: Init::Zeros, ..MlpConfig::with_hidden([]) });
    assert_eq!(linear.init(&table(3.0), 2, 0, &device).unwrap().outputs(), 2);
    let model = ModelConfig::named("mlp").unwrap().init(&table(3.0), 2, 0, &device).unwrap();
    let plain = ModelConfig::named("mlp").unwrap().init(&image([2, 1, 1]), 2, 0, &device).unwrap();
    let forward = |model: &models::Model, x: [f32; 2]| {
        let x = Tensor::<1>::from_floats(x, &device).reshape([1, 2, 1, 1]);
        model.forward(x, Pass::Predict).into_data().try_to_vec::<f32>().unwrap()
    };
    assert_eq!(forward(&model, [8.0, 1.0]), forward(&plain, [2.0, 1.0]));
    let error = |config: &ModelConfig, input| config.init(&input, 2, 0, &device).unwrap_err().to_string();
    assert!(error(&ModelConfig::named("cnn").unwrap(), table(1.0)).contains("use the model `mlp`"));
    assert!(error(&linear, table(0.0)).contains("standard deviations above zero"));
}

#[test]
fn flags_change_a_preset_or_say_why_not() {
    let custom = Custom {
        hidden: Some(vec![64]),
        filters: Some(vec![8, 16, 32]),
        kernel: Some(5),
        dropout: Some(0.2),
        norm: Some(Normalisation::Batch),
        activation: Some(Activation::Gelu),
        init: Some(Init::Orthogonal),
    };
    let cnn = ModelConfig::named("cnn").unwrap();
    let ModelConfig::Cnn(changed) = cnn.customise(&custom).unwrap() else { panic!("a CNN stays one") };
    assert_eq!(changed.stages.iter().map(|stage| stage.filters).collect::<Vec<_>>(), [8, 16, 32]);
    assert!(
        changed
            .stages
            .iter()
            .all(|stage| stage.kernel == 5 && stage.norm == Normalisation::Batch && stage.pool.is_some())
    );
    assert_eq!(
        (changed.head.hidden.as_slice(), changed.head.dropout, changed.init),
        ([64].as_slice(), 0.2, Init::Orthogonal)
    );
    assert_eq!(cnn.customise(&Custom::default()).unwrap(), cnn);

    let error =
        |name: &str, custom: &Custom| ModelConfig::named(name).unwrap().customise(custom).unwrap_err().to_string();
    assert_eq!(error("mlp", &custom), "--filters: an MLP has no convolutions; choose a CNN with `--model cnn`");
    assert_eq!(error("mlp", &Custom { filters: None, ..custom.clone() }).split(':').next(), Some("--kernel"));
    assert_eq!(error("resnet20", &custom), "--filters: this network has 4 stages and needs as many numbers, not 3");
    let empty = Custom { filters: Some(vec![]), ..Custom::default() };
    assert!(error("cnn", &empty).starts_with("--filters"));
    let four = Custom { filters: Some(vec![4, 4, 8, 16]), ..Custom::default() };
    assert!(ModelConfig::named("resnet20").unwrap().customise(&four).is_ok());
}

#[test]
fn names_are_parsed_with_the_nearest_in_the_error() {
    assert_eq!("leaky_relu".parse::<Activation>().unwrap(), Activation::LeakyRelu);
    let error: Error = "rellu".parse::<Activation>().unwrap_err();
    assert!(error.to_string().starts_with("unknown activation `rellu`; did you mean `relu`?"), "{error}");
    assert!(ModelConfig::named("resnet-20").unwrap_err().to_string().contains("did you mean `resnet20`?"));
    assert!("zzzzzzzzzzzz".parse::<Init>().unwrap_err().to_string().contains("there are torch, "));
    for (text, padding) in [("\"same\"", Padding::Same), ("2", Padding::Each(2)), ("\"to 32\"", Padding::To(32))] {
        assert_eq!(serde_json::from_str::<Padding>(text).unwrap(), padding);
        assert_eq!(serde_json::to_string(&padding).unwrap(), text);
    }
    assert!(serde_json::from_str::<Padding>("-1").is_err() && serde_json::from_str::<Padding>("\"some\"").is_err());
    let json = r#"{"arch": "cnn", "stages": [{"filters": 4, "norm": "bach"}]}"#;
    assert!(serde_json::from_str::<ModelConfig>(json).unwrap_err().to_string().contains("did you mean `batch`?"));
    let json = r#"{"arch": "mlp", "hiden": [4]}"#;
    assert!(serde_json::from_str::<ModelConfig>(json).unwrap_err().to_string().contains("unknown field `hiden`"));
}

/// Model files and runs hold the whole network: what they said before stages had bottlenecks and pooling had padding means the same.
#[test]
fn networks_written_before_there_were_bottlenecks_are_read_and_written_as_they_were() {
    let stage = r#"{"filters":64,"kernel":3,"stride":1,"padding":"same","groups":1,"norm":"batch","activation":"relu","residual":"project","repeat":2,"pool":{"kind":"max","size":2},"dropout":0.0}"#;
    let head = r#"{"pool":"global","hidden":[],"activation":"relu","norm":"none","dropout":0.0}"#;
    let text = format!(r#"{{"arch":"cnn","stages":[{stage}],"head":{head},"init":"kaiming_normal"}}"#);
    let config: ModelConfig = serde_json::from_str(&text).unwrap();
    assert_eq!(serde_json::to_string(&config).unwrap(), text);
    // The network that was called `resnet18`.
    let ModelConfig::Cnn(small) = ModelConfig::named("resnet18-small").unwrap() else { panic!("a CNN") };
    assert_eq!(
        small.stages.iter().map(|stage| (stage.filters, stage.kernel, stage.repeat)).collect::<Vec<_>>(),
        [(64, 3, 1), (64, 3, 2), (128, 3, 2), (256, 3, 2), (512, 3, 2)]
    );
    let json = serde_json::to_string(&small).unwrap();
    assert!(!json.contains("bottleneck") && !json.contains("pool\":{"), "{json}");
}

#[test]
fn a_bottleneck_stays_as_narrow_when_its_stage_is_given_other_filters() {
    let custom = Custom { filters: Some(vec![8, 16, 32, 64, 128]), ..Custom::default() };
    let ModelConfig::Cnn(cnn) = ModelConfig::named("resnet50").unwrap().customise(&custom).unwrap() else {
        panic!("a CNN")
    };
    let stages: Vec<_> = cnn.stages.iter().map(|stage| (stage.filters, stage.bottleneck)).collect();
    assert_eq!(stages, [(8, None), (16, Some(4)), (32, Some(8)), (64, Some(16)), (128, Some(32))]);
}
