//! Models of every part that there is, with inputs that are made up.
#![allow(dead_code, reason = "each test file uses its part")]
#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test")]

use data::{Filter, Fit, ImageSpec, InputSpec, Targets};
use models::{
    Activation, CnnConfig, HeadConfig, HeadPool, MlpConfig, ModelConfig, Normalisation, Padding, PoolConfig, PoolKind,
    Residual, StageConfig,
};

use crate::case::{Case, Inputs, pixels};
use crate::formula::{model, picture, table};
use crate::scratch::{classes, labels, values};

fn small() -> ImageSpec {
    picture(1, 9, 8)
}

fn cnn(stages: Vec<StageConfig>, pool: HeadPool) -> ModelConfig {
    ModelConfig::Cnn(CnnConfig { stages, head: HeadConfig { pool, ..HeadConfig::default() }, ..CnnConfig::default() })
}

fn stage(filters: usize) -> StageConfig {
    StageConfig { filters, ..StageConfig::default() }
}

/// Every preset, and every part of which networks are made.
pub(crate) fn networks() -> Vec<Case> {
    let presets = ModelConfig::PRESETS.iter();
    let mut cases: Vec<Case> = presets
        .map(|name| Case::of(format!("preset-{name}"), &ModelConfig::preset(name).unwrap(), picture(3, 32, 32)))
        .collect();
    for &activation in Activation::ALL {
        let mut config = CnnConfig::from_filters(&[4]);
        config.stages[0].activation = activation;
        config.head = HeadConfig { hidden: vec![8], activation, ..HeadConfig::default() };
        cases.push(Case::of(format!("activation-{activation}"), &ModelConfig::Cnn(config), small()));
    }
    for &norm in Normalisation::ALL {
        let hidden = MlpConfig { norm, ..MlpConfig::with_hidden([12, 10]) };
        cases.push(Case::of(format!("norm-{norm}-mlp"), &ModelConfig::Mlp(hidden), small()));
        let pool = Some(PoolConfig { kind: PoolKind::Avg, size: 3, stride: Some(2), padding: 0 });
        let stages = vec![StageConfig { norm, repeat: 2, pool, ..stage(6) }];
        cases.push(Case::of(format!("norm-{norm}-cnn"), &cnn(stages, HeadPool::Flat), small()));
    }
    for &residual in Residual::ALL {
        for norm in [Normalisation::None, Normalisation::Batch] {
            let second = StageConfig { norm, residual, repeat: 2, stride: 2, ..stage(7) };
            let stages = vec![StageConfig { norm, ..stage(4) }, second];
            cases.push(Case::of(format!("residual-{residual}-{norm}"), &cnn(stages, HeadPool::Global), small()));
        }
    }
    for residual in [Residual::Project, Residual::Pad] {
        let norm = Normalisation::Batch;
        let second = StageConfig { norm, residual, bottleneck: Some(3), groups: 3, repeat: 2, stride: 2, ..stage(8) };
        let stages = vec![StageConfig { norm, ..stage(4) }, second];
        cases.push(Case::of(format!("bottleneck-{residual}"), &cnn(stages, HeadPool::Flat), small()));
    }
    let paddings = [("same", 4, Padding::Same), ("valid", 3, Padding::Valid), ("two", 3, Padding::Each(2))];
    for (name, kernel, padding) in paddings.into_iter().chain([("to", 5, Padding::To(12))]) {
        let stages =
            vec![StageConfig { kernel, padding, ..stage(6) }, StageConfig { groups: 3, stride: 2, ..stage(9) }];
        cases.push(Case::of(format!("padding-{name}"), &cnn(stages, HeadPool::Flat), small()));
    }
    let pools = [("max", PoolKind::Max, 3, 1, 0), ("avg", PoolKind::Avg, 2, 3, 0)];
    let padded = [("max-padded", PoolKind::Max, 3, 2, 1), ("avg-padded", PoolKind::Avg, 5, 2, 2)];
    for (name, kind, size, stride, padding) in pools.into_iter().chain(padded) {
        let pool = Some(PoolConfig { kind, size, stride: Some(stride), padding });
        cases.push(Case::of(
            format!("pool-{name}"),
            &cnn(vec![StageConfig { pool, ..stage(5) }], HeadPool::Flat),
            small(),
        ));
    }
    cases
}

pub(crate) fn tasks() -> Vec<Case> {
    let config = ModelConfig::Mlp(MlpConfig::with_hidden([16]));
    let plain = ImageSpec { mean: vec![0.0], std: vec![1.0], ..small() };
    let of = |name: &str, input: InputSpec, targets: &Targets, temperature, inputs| Case {
        name: name.to_owned(),
        file: model(&config, input, targets, temperature),
        resize: false,
        inputs,
    };
    let image = || InputSpec::Image(plain.clone());
    let three = || Inputs::Pixels(pixels(3 * 72));
    let rows = [
        ["1.5", "red", "0", "", "0", "0.5", "2"],
        ["-3e5", "blue", "-1", "", "x y", "1", "NA"],
        ["", "green", "NA", "", "", "", ""],
        ["nan", "\u{fc}ber \"all\"\\n", "7", "", "00", "9", "1"],
        ["3", "Red", "2.4999", "", "NULL", "-1", "?"],
        ["3", "blue", "-0.5", "", "0", "7.75", "12"],
        ["1e-30", "", "100", "", "x  y", "8", "0"],
    ];
    let rows = || Inputs::Rows(rows.iter().map(|row| row.map(str::to_owned).to_vec()).collect());
    vec![
        of(
            "task-classes",
            image(),
            &classes(&["it's", "\"\\", "\n\u{0}", "{0: 'x'}", "\u{1f600}\u{202e}"]),
            None,
            three(),
        ),
        of("task-calibrated", image(), &classes(&["a", "b"]), Some(0.3), three()),
        of("task-labels", image(), &labels(&["wet", "cold", "dark"]), Some(2.5), three()),
        of("task-values", image(), &values(&["price", "age"]), None, three()),
        of("table-classes", table(), &classes(&["a", "b", "c"]), Some(1.25), rows()),
        of("table-labels", table(), &labels(&["wet", "cold"]), Some(1.0), rows()),
        of("table-values", table(), &values(&["price"]), None, rows()),
    ]
}

/// Pictures of every kind of size, fitted in every way.
pub(crate) fn resizes() -> Vec<Case> {
    let sizes = [[9, 8], [31, 17], [5, 40], [3, 4], [64, 48]];
    let mut cases = Vec::new();
    for (number, fit) in [Fit::Crop, Fit::Stretch, Fit::Pad].into_iter().enumerate() {
        for (at, filter) in
            [Filter::Nearest, Filter::Triangle, Filter::CatmullRom, Filter::Lanczos3].into_iter().enumerate()
        {
            for (which, [height, width]) in sizes.into_iter().enumerate() {
                let channels = 1 + 2 * ((number + at + which) % 2);
                let input = ImageSpec { fit, filter, ..picture(channels, 9, 8) };
                let mut case = Case::of(
                    format!("resize-{number}-{at}-{which}"),
                    &ModelConfig::Mlp(MlpConfig::with_hidden([16])),
                    input,
                );
                let shape = [channels, height, width];
                case.inputs = Inputs::Pictures(shape, pixels(2 * channels * height * width));
                case.resize = true;
                cases.push(case);
            }
        }
    }
    cases
}
