//! Explanations in words, for terminals and for the margins of pictures, and the picture itself.

use std::path::Path;

use data::ImageSpec;
use data::image::Thumbnail;
use infer::{Attribution, Baseline, Explanation, Heat};
use report::{Overlay, Picture, Sheet};

use crate::output::{number, percent, shown};

/// What is explained: "rose, 93.1%".
pub(super) fn said(explanation: &Explanation) -> String {
    let one = &explanation.explained;
    match one.prob {
        Some(prob) => format!("{}, {}", shown(&one.name), percent(prob)),
        None => format!("{} {}", shown(&one.name), number(one.score)),
    }
}

/// How it was found out.
pub(super) fn how(explanation: &Explanation) -> String {
    let how = &explanation.how;
    let from = match how.baseline {
        Some(Baseline::Mean) => "the mean",
        Some(Baseline::Black) => "black",
        Some(Baseline::Absent) => "absent",
        None => "",
    };
    match how.method {
        Attribution::GradCam => {
            let [height, width] = how.map.unwrap_or_default();
            format!("grad-cam of {}, {height}x{width}", how.layer.as_deref().unwrap_or_default())
        }
        Attribution::IntegratedGradients => {
            let change = explanation.explained.score - how.baseline_score.unwrap_or(f64::NAN);
            let gap = how.gap.unwrap_or(f64::NAN);
            format!(
                "integrated gradients from {from} in {} steps: {} in all, {} missing",
                how.steps.unwrap_or_default(),
                number(change),
                number(gap.abs())
            )
        }
        Attribution::Occlusion => match how.patch {
            Some([height, width]) => format!("occlusion: {height}x{width} pixels at a time become {from}"),
            None => format!("occlusion: one column at a time becomes {from}"),
        },
    }
}

/// The picture with its heat beside it, and words around them.
pub(super) fn sheet(
    name: &Path,
    explanation: &Explanation,
    heat: &Heat,
    thumbnail: &Thumbnail,
    spec: &ImageSpec,
) -> Option<Sheet> {
    let [height, width] = thumbnail.shown;
    let over = heat.over(spec, thumbnail.size, thumbnail.shown);
    let mut lines = vec![how(explanation)];
    if over.iter().any(|value| value.is_nan()) {
        lines.push("the dark part is cut off: the network sees nothing of it".to_owned());
    }
    if heat.values.iter().all(|value| *value == 0.0) {
        lines.push("nothing was found that counts".to_owned());
    }
    let picture = Picture { shape: [3, height, width], pixels: thumbnail.pixels.clone() };
    let overlay = Overlay { picture, heat: over, signed: heat.signed };
    let name = name.file_name().unwrap_or_default().to_string_lossy();
    overlay.sheet(&format!("{name}: {}", said(explanation)), &lines)
}
