//! Checkpoints on disk: whole ones, damaged ones, unfinished ones.

use super::*;

fn checkpoint(step: u64) -> Checkpoint {
    let tensor = |value: f32| vec![("a.weight".to_owned(), TensorData::new(vec![value; 6], [2, 3]))];
    Checkpoint {
        progress: Progress { step, epoch: step as usize, ..Progress::default() },
        model: tensor(step as f32),
        optimizer: tensor(-1.0),
        ema: Some(tensor(0.5)),
        results: "epoch\n1\n".into(),
        settings: Settings::from([("lr".into(), "0.1".into())]),
        best: Some(Arc::new(b"best".to_vec())),
        last: Some(Arc::new(format!("last {step}").into_bytes())),
        path: None,
    }
}

fn newest(folder: &Path) -> (Checkpoint, Vec<String>) {
    Checkpoint::load_newest(folder).unwrap()
}

/// Changes one bit of a file.
fn damage(file: &Path) {
    let mut bytes = fs::read(file).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(file, bytes).unwrap();
}

#[test]
fn a_checkpoint_comes_back_as_it_was() {
    let scratch = tempfile::tempdir().unwrap();
    let path = checkpoint(7).save(scratch.path()).unwrap();
    let (loaded, warnings) = newest(scratch.path());
    let all = |it: Checkpoint| (it.progress, it.model, it.optimizer, it.ema, it.results, it.settings, it.best, it.last);
    assert_eq!(loaded.path, Some(path));
    assert_eq!(all(loaded), all(checkpoint(7)));
    assert!(warnings.is_empty());
}

#[test]
fn a_damaged_checkpoint_falls_back_to_the_one_before() {
    let names = ["manifest", "progress", "settings"].map(|name| format!("{name}.json")).into_iter();
    let tensors = ["model", "optimizer", "ema", "last", "best"].map(|name| format!("{name}.safetensors")).into_iter();
    for name in names.chain(tensors).chain(["results.csv".to_owned()]) {
        let scratch = tempfile::tempdir().unwrap();
        checkpoint(2).save(scratch.path()).unwrap();
        let file = checkpoint(3).save(scratch.path()).unwrap().join(&name);
        damage(&file);
        let (loaded, warnings) = newest(scratch.path());
        assert_eq!(loaded.progress.step, 2);
        assert!(warnings[0].contains(&name) && warnings[0].contains("falling back"), "{warnings:?}");
        fs::remove_file(&file).unwrap();
        assert_eq!(newest(scratch.path()).0.progress.step, 2, "{name} is gone");
    }
}

#[test]
fn an_unfinished_checkpoint_is_not_seen_and_goes_with_the_next_save() {
    let scratch = tempfile::tempdir().unwrap();
    checkpoint(1).save(scratch.path()).unwrap();
    let unfinished = scratch.path().join("step-0000000002.partial");
    fs::create_dir(&unfinished).unwrap();
    assert_eq!(newest(scratch.path()).0.progress.step, 1);
    checkpoint(3).save(scratch.path()).unwrap();
    assert!(!unfinished.exists());
}

#[test]
fn the_same_step_again_replaces_nothing_and_is_the_newest() {
    let scratch = tempfile::tempdir().unwrap();
    for epoch in 0..12 {
        let mut again = checkpoint(5);
        again.progress.epoch = epoch;
        again.save(scratch.path()).unwrap();
        assert_eq!(newest(scratch.path()).0.progress.epoch, epoch);
    }
    assert_eq!(list(scratch.path()).unwrap().len(), 12);
}

#[test]
fn pruning_leaves_what_is_to_be_kept() {
    let scratch = tempfile::tempdir().unwrap();
    let saved: Vec<PathBuf> = (1..=4).map(|step| checkpoint(step).save(scratch.path()).unwrap()).collect();
    Checkpoint::prune(scratch.path(), &[&saved[1], &saved[3]]).unwrap();
    assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 2);
    assert_eq!(list(scratch.path()).unwrap(), [saved[1].clone(), saved[3].clone()]);
}

#[test]
fn a_checkpoint_does_not_bring_a_deleted_run_back() {
    let scratch = tempfile::tempdir().unwrap();
    let gone = scratch.path().join("run").join("checkpoints");
    assert!(checkpoint(1).save(&gone).is_err() && !gone.parent().unwrap().exists());
}

/// Changes `manifest.json` as text.
fn edit_manifest(checkpoint: &Path, from: &str, to: &str) {
    let file = checkpoint.join("manifest.json");
    let text = fs::read_to_string(&file).unwrap();
    assert!(text.contains(from), "{text}");
    fs::write(file, text.replace(from, to)).unwrap();
}

#[test]
fn the_first_format_is_read_which_had_neither_results_nor_settings_nor_models() {
    let scratch = tempfile::tempdir().unwrap();
    let old = Checkpoint { best: None, last: None, ..checkpoint(4) };
    let path = old.save(scratch.path()).unwrap();
    let mut manifest = Manifest::read(&path).unwrap();
    manifest.format = 1;
    for name in ["results.csv", "settings.json"] {
        manifest.sha256.remove(name).unwrap();
        fs::remove_file(path.join(name)).unwrap();
    }
    // As it was written then: without what came later.
    let progress = r#"{"epoch":4,"batch":0,"step":4,"best":null,"seconds":1.5,"sums":{"loss":"0","samples":0,"correct":0},
        "plateau":{"best":null,"wait":0,"factor":"1"}}"#;
    fs::write(path.join("progress.json"), progress).unwrap();
    manifest.sha256.insert("progress.json".into(), hash(progress.as_bytes()));
    fs::write(path.join("manifest.json"), serde_json::to_vec(&manifest).unwrap()).unwrap();
    let (loaded, warnings) = newest(scratch.path());
    assert!(warnings.is_empty(), "{warnings:?}");
    assert_eq!((loaded.progress.step, loaded.progress.lr, loaded.progress.rollbacks), (4, None, 0));
    assert_eq!((loaded.model, loaded.optimizer, loaded.ema), (old.model, old.optimizer, old.ema));
    assert!(loaded.results.is_empty() && loaded.settings.is_empty() && loaded.best.is_none());
}

#[test]
fn a_newer_format_is_refused_and_never_removed() {
    let scratch = tempfile::tempdir().unwrap();
    checkpoint(1).save(scratch.path()).unwrap();
    let newer = checkpoint(2).save(scratch.path()).unwrap();
    edit_manifest(&newer, "\"format\": 2", "\"format\": 9, \"more\": []");
    let error = Checkpoint::load_newest(scratch.path()).unwrap_err();
    let expected = "checkpoint format 9, this build reads formats up to 2; go on with a newer build";
    assert!(error.exit_code() == 4 && error.to_string().ends_with(expected), "{error}");
    assert!(error.to_string().contains("step-0000000002"), "{error}");
    // What is newer than it can be gone on from.
    let path = checkpoint(3).save(scratch.path()).unwrap();
    Checkpoint::prune(scratch.path(), &[&path]).unwrap();
    assert_eq!(list(scratch.path()).unwrap(), [newer, path]);
    assert_eq!(newest(scratch.path()).0.progress.step, 3);
}

#[test]
fn what_cannot_be_removed_is_in_nobodys_way() {
    let scratch = tempfile::tempdir().unwrap();
    // A folder that may not be removed is one thing that isn't; this is another.
    let stuck = ["step-0000000003.partial", "step-0000000001.partial"].map(|name| scratch.path().join(name));
    stuck.iter().for_each(|path| fs::write(path, "").unwrap());
    for step in 1..=4 {
        let path = checkpoint(step).save(scratch.path()).unwrap();
        assert_eq!(newest(scratch.path()).0.progress.step, step);
        let error = Checkpoint::prune(scratch.path(), &[&path]).unwrap_err().to_string();
        assert!(error.contains("cannot remove `") && error.contains(".partial`"), "{error}");
        assert_eq!(list(scratch.path()).unwrap(), [path], "the older ones go all the same");
    }
    assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 3, "and nothing is piled up");
}

#[test]
fn a_best_model_that_is_the_last_one_too_is_held_once() {
    let scratch = tempfile::tempdir().unwrap();
    let same = Checkpoint { last: checkpoint(4).best, ..checkpoint(4) };
    let path = same.save(scratch.path()).unwrap();
    assert!(path.join("best.safetensors").is_file() && !path.join("last.safetensors").exists());
    assert_eq!(newest(scratch.path()).0.last, same.best);
}
