//! Each operation does what it says, on pictures of any shape.

use proptest::prelude::*;

use super::geometry::Geometry;
use super::*;
use crate::random::Purpose;
use crate::{BatchTargets, Column, ColumnKind, Filter, Fit, ImageSpec, Inputs, TableSpec};

fn image(channels: usize, height: usize, width: usize) -> InputSpec {
    let (mean, std) = (vec![0.4; channels], vec![0.2; channels]);
    InputSpec::Image(ImageSpec { channels, height, width, fit: Fit::Crop, filter: Filter::Triangle, mean, std })
}

fn table() -> InputSpec {
    let kind = ColumnKind::Categorical { categories: vec!["large".into()] };
    let columns = vec![Column { name: "size".into(), position: 0, kind }];
    InputSpec::Table(TableSpec { columns, ..TableSpec::default() })
}

fn classes() -> Targets {
    Targets::Classes { names: vec!["a".into(), "b".into(), "c".into()], values: vec![0, 1, 2] }
}

fn values() -> Targets {
    Targets::Values { names: vec!["age".into()], values: vec![1.0] }
}

fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut random = Random::new(seed, Purpose::Bench, 0, 0);
    (0..len).map(|_| random.bits() as u8).collect()
}

fn paint(text: &str, input: &InputSpec, source: &[u8], index: u32) -> Vec<u8> {
    let augment = Augment::parse(text, input, &classes()).unwrap();
    let mut out = vec![0; source.len()];
    augment.painter(input).paint(source, &mut out, &mut Random::new(1, Purpose::Augment, 0, index));
    out
}

fn message(text: &str, input: &InputSpec, targets: &Targets) -> String {
    let error = Augment::parse(text, input, targets).unwrap_err();
    assert!(error.is_usage());
    error.to_string()
}

proptest! {
    #[test]
    fn amounts_of_zero_leave_pictures_alone(channels in prop::sample::select(vec![1_usize, 3]), height in 1..20_usize, width in 1..20_usize) {
        let input = image(channels, height, width);
        let source = noise(input.len(), 3);
        for text in ["crop:0", "rotate:0", "shift:0", "scale:0", "flip:0", "vflip:0", "jitter:0", "erase:0"] {
            prop_assert_eq!(&paint(text, &input, &source, 0), &source, "{}", text);
        }
    }

    #[test]
    fn a_flip_mirrors_and_two_flips_are_none(channels in prop::sample::select(vec![1_usize, 3]), height in 1..20_usize, width in 1..20_usize) {
        let input = image(channels, height, width);
        let source = noise(input.len(), 4);
        let flipped = paint("flip:1", &input, &source, 0);
        let mirrored: Vec<u8> = source.chunks_exact(width).flat_map(|row| row.iter().rev().copied()).collect();
        prop_assert_eq!(&flipped, &mirrored);
        prop_assert_eq!(&paint("flip:1", &input, &flipped, 9), &source);
        let down = paint("vflip:1", &input, &source, 0);
        prop_assert_eq!(&paint("vflip:1", &input, &down, 9), &source);
        prop_assert_eq!(&down[..width], &source[(height - 1) * width..][..width]);
    }

    #[test]
    fn a_crop_moves_by_whole_pixels_within_its_padding(height in 4..20_usize, width in 4..20_usize, index in 0..200_u32) {
        let input = image(1, height, width);
        // Each pixel inside tells its place; the border is one colour, which is what gray pictures are filled up with.
        let mut source = vec![7; height * width];
        for (y, x) in (1..height - 1).flat_map(|y| (1..width - 1).map(move |x| (y, x))) {
            source[y * width + x] = 10 + (y * 12 + x) as u8 % 240;
        }
        let out = paint("crop:2", &input, &source, index);
        let at = |y: i64, x: i64| {
            let inside = (0..height as i64).contains(&y) && (0..width as i64).contains(&x);
            if inside { source[y as usize * width + x as usize] } else { 7 }
        };
        let moved = |down: i64, across: i64| -> Vec<u8> {
            (0..height as i64).flat_map(|y| (0..width as i64).map(move |x| (y, x))).map(|(y, x)| at(y + down, x + across)).collect()
        };
        prop_assert!((-2..=2).any(|down| (-2..=2).any(|across| moved(down, across) == out)));
    }

    #[test]
    fn every_operation_takes_every_shape(
        channels in prop::sample::select(vec![1_usize, 3]), height in 1..14_usize, width in 1..14_usize, index in any::<u32>()
    ) {
        let input = image(channels, height, width);
        let source = noise(input.len(), 5);
        let text = "flip,vflip,crop,rotate:180,shift:0.5,scale:0.5,jitter:1,erase:1";
        let out = paint(text, &input, &source, index);
        prop_assert_eq!(&out, &paint(text, &input, &source, index));
        // A picture of one colour stays so under geometry, whatever is filled up.
        let plain = vec![93; input.len()];
        prop_assert_eq!(paint("flip,vflip,crop,rotate:180,shift:0.5,scale:0.5", &input, &plain, index), plain);
    }

    #[test]
    fn an_erased_rectangle_is_of_the_mean_and_within_its_area(height in 12..40_usize, width in 12..40_usize, index in any::<u32>()) {
        let input = image(3, height, width);
        let out = paint("erase:1", &input, &vec![0; input.len()], index);
        let plane = height * width;
        let erased = out[..plane].iter().filter(|&&value| value == 102).count();
        prop_assert_eq!(out.iter().filter(|&&value| value == 102).count(), 3 * erased);
        prop_assert_eq!(out.iter().filter(|&&value| value == 0).count(), 3 * (plane - erased));
        // Rounding to whole columns takes at most one column off.
        prop_assert!(erased as f32 <= 0.33 * plane as f32 && erased as f32 >= 0.02 * plane as f32 - height as f32, "{erased}");
        prop_assert!(erased >= 1);
    }

    #[test]
    fn mixed_targets_are_probabilities(n in 1..9_usize, epoch in any::<u32>(), text in prop::sample::select(vec!["mixup:0.4", "cutmix", "mixup,cutmix"])) {
        let input = image(1, 6, 5);
        let batch = mixed(text, &input, n, epoch);
        let Some(BatchTargets::Dense { width: 3, values }) = &batch.targets else { panic!("{:?}", batch.targets) };
        prop_assert_eq!(values.len(), n * 3);
        for row in values.chunks_exact(3) {
            prop_assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-6 && row.iter().all(|value| (0.0..=1.0).contains(value)), "{row:?}");
        }
    }

    #[test]
    fn the_weight_of_cutmix_is_the_area_that_was_pasted(height in 1..12_usize, width in 1..12_usize, n in 2..6_usize, epoch in any::<u32>()) {
        let input = image(1, height, width);
        let batch = mixed("cutmix", &input, n, epoch);
        let (Inputs::Pixels(pixels), Some(BatchTargets::Dense { values, .. })) = (&batch.inputs, &batch.targets) else { panic!() };
        for (i, (pixels, target)) in pixels.chunks_exact(height * width).zip(values.chunks_exact(3)).enumerate() {
            // Each sample is filled with 10 * (its number + 1), and its class is its number modulo 3.
            let mut expected = [0.0_f32; 3];
            pixels.iter().for_each(|&value| expected[(usize::from(value) / 10 - 1) % 3] += 1.0 / (height * width) as f32);
            for (found, expected) in target.iter().zip(expected) {
                prop_assert!((found - expected).abs() < 1e-5, "sample {i}: {target:?}");
            }
        }
    }
}

/// A batch of plain pictures, sample `i` filled with `10 * (i + 1)` and of class `i % 3`, mixed.
fn mixed(text: &str, input: &InputSpec, n: usize, epoch: u32) -> Batch {
    let [channels, height, width] = input.shape();
    let inputs = Inputs::Pixels((0..n).flat_map(|i| vec![10 * (i as u8 + 1); input.len()]).collect());
    let targets = Some(BatchTargets::Classes((0..n as u32).map(|i| i % 3).collect()));
    let mut batch = Batch { indices: (0..n as u32).collect(), shape: [n, channels, height, width], inputs, targets };
    let augment = Augment::parse(text, input, &classes()).unwrap();
    augment.mix(&mut batch, 3, &mut Random::new(1, Purpose::Mix, epoch, 0));
    batch
}

#[test]
fn mixup_blends_pictures_and_numbers_by_the_same_weight() {
    let augment = Augment::parse("mixup:1", &table(), &values()).unwrap();
    let targets = Some(BatchTargets::Dense { width: 1, values: vec![1.0, 5.0] });
    let inputs = Inputs::Floats(vec![10.0, 20.0]);
    let mut batch = Batch { indices: vec![0, 1], shape: [2, 1, 1, 1], inputs, targets };
    augment.mix(&mut batch, 1, &mut Random::new(1, Purpose::Mix, 0, 0));
    let (Inputs::Floats(inputs), Some(BatchTargets::Dense { values, .. })) = (&batch.inputs, &batch.targets) else {
        panic!()
    };
    let weight = (20.0 - inputs[0]) / 10.0;
    assert!(weight > 0.0 && weight < 1.0, "{weight}");
    assert!((values[0] - (weight + 5.0 * (1.0 - weight))).abs() < 1e-5, "{values:?}");
    assert!((inputs[0] + inputs[1] - 30.0).abs() < 1e-4 && (values[0] + values[1] - 6.0).abs() < 1e-5);
}

#[test]
fn rotation_turns_about_the_middle() {
    let (size, input) = (15, image(1, 15, 15));
    // A dot on the horizontal axis stays at its distance from the middle.
    let mut source = vec![0; size * size];
    source[7 * size + 12] = 255;
    let mut angles = Vec::new();
    for index in 0..40 {
        let out = paint("rotate:90", &input, &source, index);
        let total: f32 = out.iter().map(|&value| f32::from(value)).sum();
        let centre = |axis: usize| {
            let weighted = out
                .iter()
                .enumerate()
                .map(|(i, &value)| [(i % size) as f32, (i / size) as f32][axis] * f32::from(value));
            weighted.sum::<f32>() / total - 7.0
        };
        let (x, y) = (centre(0), centre(1));
        assert!(((x * x + y * y).sqrt() - 5.0).abs() < 0.3, "({x}, {y})");
        assert!(x > -0.3, "beyond 90 degrees: ({x}, {y})");
        angles.push(y.atan2(x));
    }
    assert!(angles.iter().any(|&angle| angle > 0.5) && angles.iter().any(|&angle| angle < -0.5));
}

#[test]
fn scale_zooms_in_and_out_within_its_range() {
    let input = image(1, 40, 40);
    let mut source = vec![0; 1600];
    for y in 10..30 {
        source[y * 40 + 10..y * 40 + 30].fill(255);
    }
    let sides: Vec<f32> = (0..60)
        .map(|index| {
            (paint("scale:0.3", &input, &source, index).iter().map(|&value| f32::from(value) / 255.0).sum::<f32>())
                .sqrt()
                / 20.0
        })
        .collect();
    assert!(sides.iter().all(|side| (0.67..1.33).contains(side)), "{sides:?}");
    assert!(sides.iter().any(|&side| side > 1.15) && sides.iter().any(|&side| side < 0.85), "{sides:?}");
}

#[test]
fn jitter_changes_colours_but_not_gray_ones_into_colours() {
    let input = image(3, 4, 4);
    let gray: Vec<u8> = noise(16, 6).repeat(3);
    for index in 0..50 {
        let out = paint("jitter:0.5", &input, &gray, index);
        let most = (0..16).map(|i| out[i].abs_diff(out[16 + i]).max(out[i].abs_diff(out[32 + i]))).max();
        assert!(most <= Some(1), "a gray picture stays gray: {out:?}");
    }
    let source = noise(48, 7);
    assert_ne!(paint("jitter:0.5", &input, &source, 0), paint("jitter:0.5", &input, &source, 1));
}

#[test]
fn draws_differ_between_seeds_epochs_and_samples() {
    let input = image(1, 12, 12);
    let augment = Augment::parse("strong", &input, &classes()).unwrap();
    let source = noise(144, 8);
    let mut found = std::collections::HashSet::new();
    for (seed, epoch, index) in [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1), (0, 0, 0)] {
        let mut out = vec![0; 144];
        augment.painter(&input).paint(&source, &mut out, &mut Random::new(seed, Purpose::Augment, epoch, index));
        found.insert(out);
    }
    assert_eq!(found.len(), 4);
}

#[test]
fn presets_suit_the_input() {
    fn flips(text: &str, input: &InputSpec, targets: &Targets) -> bool {
        Augment::parse(text, input, targets).unwrap().amount(Operation::Flip) > 0.0
    }
    for text in ["light", "strong"] {
        assert!(!flips(text, &image(1, 28, 28), &classes()), "characters have an orientation");
        assert!(flips(text, &image(3, 32, 32), &classes()));
        assert!(!Geometry::of(&Augment::parse(text, &image(3, 32, 32), &values()).unwrap()).moves());
        assert!(message(text, &table(), &classes()).contains("tables take `none` or `mixup`"));
    }
    assert!(Augment::parse("none", &table(), &classes()).unwrap().is_none());
    assert_eq!(Augment::parse("light", &image(3, 32, 48), &classes()).unwrap().amount(Operation::Crop), 4.0);
    let extended = Augment::parse("light,rotate:3,mixup", &image(1, 28, 28), &classes()).unwrap();
    assert_eq!([Operation::Rotate, Operation::Scale, Operation::Mixup].map(|o| extended.amount(o)), [3.0, 0.1, 0.2]);
    assert!(extended.mixes());
}

#[test]
fn the_statement_says_what_is_done() {
    let text = |text, input: &InputSpec| Augment::parse(text, input, &classes()).unwrap().to_string();
    assert_eq!(text("none", &table()), "none");
    assert_eq!(
        text("light", &image(1, 28, 28)),
        "rotate by up to 10 degrees, shift by up to 0.05 of each side, scale by 0.9 to 1.1; beyond the edges the median colour of the border"
    );
    assert_eq!(
        text("flip,crop:4,mixup,cutmix", &image(3, 32, 32)),
        "flip left-right with probability 0.5, pad and crop by up to 4 pixels, mixup with alpha 0.2, cutmix with alpha 1; \
         beyond the edges the mirrored picture; mixup or cutmix by the toss of a coin for each batch"
    );
}

#[test]
fn what_cannot_be_done_is_refused_in_words() {
    let photo = image(3, 32, 32);
    let refused = |text| message(text, &photo, &classes());
    assert!(refused("flpi").contains(
        "unknown augmentation `flpi`; did you mean `flip`? there are none, light, strong, flip, vflip, crop"
    ));
    assert!(refused("xyzzy").contains("unknown augmentation `xyzzy`; there are none"));
    assert!(refused("rotate:200").contains("`rotate:200`: expected a number from 0 to 180 (degrees)"));
    assert!(refused("crop:1.5").contains("a whole number from 0 to 16 (pixels)"));
    for text in ["erase:nan", "flip:-1", "flip:inf", "scale:x", "mixup:", "shift:0.6"] {
        assert!(refused(text).contains("expected a number from 0"), "{text}");
    }
    assert!(refused("flip,flip:1").contains("twice"));
    assert!(refused("flip,light").contains("comes first"));
    assert!(refused("").contains("unknown augmentation ``"));
    assert!(message("flip", &table(), &classes()).contains("tables take `none` or `mixup`"));
    assert!(message("cutmix", &photo, &values()).contains("targets are numbers"));
    assert!(Augment::parse("mixup", &table(), &values()).is_ok());
}
