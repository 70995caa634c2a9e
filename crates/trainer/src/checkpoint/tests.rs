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
    let all = |it: Checkpoint| (it.progress, it.model, it.optimizer, it.ema, it.results, it.settings);
    assert_eq!(loaded.path, Some(path));
    assert_eq!(all(loaded), all(checkpoint(7)));
    assert!(warnings.is_empty());
}

#[test]
fn a_damaged_checkpoint_falls_back_to_the_one_before() {
    let names = ["manifest", "progress", "settings"].map(|name| format!("{name}.json")).into_iter();
    let tensors = ["model", "optimizer", "ema"].map(|name| format!("{name}.safetensors")).into_iter();
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
    assert_eq!(entries(scratch.path()).unwrap().len(), 2);
    assert_eq!(list(scratch.path()).unwrap(), [saved[1].clone(), saved[3].clone()]);
}

#[test]
fn a_checkpoint_does_not_bring_a_deleted_run_back() {
    let scratch = tempfile::tempdir().unwrap();
    let gone = scratch.path().join("run").join("checkpoints");
    assert!(checkpoint(1).save(&gone).is_err() && !gone.parent().unwrap().exists());
}
