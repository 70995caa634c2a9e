//! Every point inside of a save, with the feature `failpoints`: the process dies there, or the system refuses there.
#![cfg(all(unix, feature = "flex", feature = "failpoints"))]
#![expect(clippy::unwrap_used, reason = "a failed step of a test is a failed test")]

mod program;

use std::fs;
use std::path::Path;
use std::process::Output;

use data::failpoint::POINTS;
use program::{SMALL, command, ends, rows, straight, trainer, weights};

/// Points that only a failed or a longer run reaches would be passed over in silence: the small run must reach every one.
fn with(folder: &Path, failpoints: &str, arguments: &[&str]) -> Output {
    command(folder, arguments).env("FAILPOINTS", failpoints).output().unwrap()
}

fn small(name: &str) -> Vec<&str> {
    [&SMALL[..], &["--checkpoint-steps", "4", "--name", name]].concat()
}

#[test]
fn death_at_any_point_of_a_save_costs_no_bit() {
    let scratch = tempfile::tempdir().unwrap();
    let expected = straight(scratch.path(), "straight", &[]);
    for point in POINTS {
        for times in [0, 3] {
            let name = format!("{}-{times}", point.replace("::", "-"));
            let run = scratch.path().join("runs").join(&name);
            let output = with(scratch.path(), &format!("{point}={times}*off->abort"), &small(&name));
            assert_eq!(output.status.code(), None, "{point} was not reached {times} times");
            // Nothing was trained yet where not even the options were written.
            if !run.join("args.toml").exists() {
                ends(trainer(scratch.path(), &["resume", run.to_str().unwrap()]), 4, "start one with `trainer train`");
                continue;
            }
            ends(trainer(scratch.path(), &["resume", run.to_str().unwrap(), "--quiet"]), 0, "");
            assert!(weights(&run) == weights(&expected), "{point} after {times}: other weights");
            assert!(rows(&run) == rows(&expected), "{point} after {times}: other rows");
        }
    }
}

#[test]
fn a_refusal_at_any_point_is_made_up_for_or_ends_with_7() {
    let scratch = tempfile::tempdir().unwrap();
    let expected = straight(scratch.path(), "straight", &[]);
    // The run's folder is begun before its first save: later refusals are those of a run.
    let inside = POINTS.iter().filter(|point| !point.starts_with("replace::"));
    for (number, point) in inside.enumerate() {
        let name = format!("once-{number}");
        let run = scratch.path().join("runs").join(&name);
        let said =
            ends(with(scratch.path(), &format!("{point}=2*off->1*return(enospc)->off"), &small(&name)[..]), 0, "");
        assert!(weights(&run) == weights(&expected) && rows(&run) == rows(&expected), "{point}: {said}");

        if ["checkpoint::pruning", "save::done"].contains(point) {
            continue;
        }
        let name = format!("always-{number}");
        let run = scratch.path().join("runs").join(&name);
        let error = if number % 2 == 0 { "eio" } else { "enospc" };
        let failpoints = format!("{point}=2*off->return({error})");
        ends(with(scratch.path(), &failpoints, &small(&name)), 7, "the run could not be saved");
        ends(trainer(scratch.path(), &["resume", run.to_str().unwrap(), "--quiet"]), 0, "");
        assert!(
            weights(&run) == weights(&expected) && rows(&run) == rows(&expected),
            "{point}: resumed to something else"
        );
    }
}

#[test]
fn a_full_disk_ends_with_7_wherever_it_begins() {
    let scratch = tempfile::tempdir().unwrap();
    let expected = straight(scratch.path(), "straight", &[]);
    for (number, reached) in [0, 1, 4, 9, 12, 15, 21, 40, 77, 120].into_iter().enumerate() {
        let name = format!("full-{number}");
        ends(with(scratch.path(), &format!("*={reached}*off->return(enospc)"), &small(&name)), 7, "");
        let run = scratch.path().join("runs").join(&name);
        if run.join("args.toml").exists() {
            ends(trainer(scratch.path(), &["resume", run.to_str().unwrap(), "--quiet"]), 0, "");
            assert!(weights(&run) == weights(&expected), "full from point {reached} on");
        }
    }
    assert!(fs::read_dir(scratch.path().join("runs")).unwrap().count() > 5);
}

#[test]
fn an_image_that_a_decoder_panics_on_is_an_error_of_the_data_for_any_number_of_workers() {
    let scratch = tempfile::tempdir().unwrap();
    for class in ["cat", "dog"] {
        fs::create_dir_all(scratch.path().join("pics").join(class)).unwrap();
        for number in 0..10 {
            let picture = image::GrayImage::from_pixel(8, 8, image::Luma([number * 20]));
            picture.save(scratch.path().join(format!("pics/{class}/{number}.png"))).unwrap();
        }
    }
    for workers in ["0", "2"] {
        let train = ["train", "pics", "--model", "mlp", "--epochs", "1", "--quiet", "--workers", workers];
        let output = with(scratch.path(), "image::decode=5*off->panic", &train);
        let said = ends(output, 3, ".png` contents: expected an image that can be decoded, found one that its decoder");
        assert!(said.lines().count() == 1 && said.starts_with("error: `pics/"), "{said}");
    }
}

#[test]
fn a_panic_in_the_background_is_an_error_and_the_run_goes_on_afterwards() {
    let scratch = tempfile::tempdir().unwrap();
    let expected = straight(scratch.path(), "straight", &[]);
    let output = with(scratch.path(), "checkpoint::synced=3*off->panic", &small("run"));
    assert_eq!(output.status.code(), Some(7), "{}", program::stderr(&output));
    let run = scratch.path().join("runs/run");
    ends(trainer(scratch.path(), &["resume", run.to_str().unwrap(), "--quiet"]), 0, "");
    assert!(weights(&run) == weights(&expected));
}

#[test]
fn a_folder_that_is_deleted_between_the_last_save_and_the_last_line_is_told_of() {
    let scratch = tempfile::tempdir().unwrap();
    let run = scratch.path().join("runs/run");
    // Each save waits when it is done: after the last one the whole run is on disk, but for `metrics.json`.
    let mut command = command(scratch.path(), &[&SMALL[..], &["--name", "run"]].concat());
    let child =
        command.env("FAILPOINTS", "save::done=sleep(2000)").stderr(std::process::Stdio::piped()).spawn().unwrap();
    program::until("the last checkpoint", || {
        let saved = fs::read_dir(run.join("checkpoints")).into_iter().flatten().flatten();
        let whole = saved.map(|entry| entry.path()).filter(|path| path.extension().is_none());
        let mut progress = whole.filter_map(|path| fs::read_to_string(path.join("progress.json")).ok());
        progress.any(|text| text.contains("\"epoch\": 4"))
    });
    // In one step: it may still be read back.
    fs::rename(&run, scratch.path().join("elsewhere")).unwrap();
    ends(child.wait_with_output().unwrap(), 7, "is gone: was it deleted while training?");
    assert!(!run.exists());
}
