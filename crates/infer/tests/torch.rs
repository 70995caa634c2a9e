//! `infer export --torch`: PyTorch loads the weights strictly into the module that was generated, and answers as `infer` does. As in
//! `export.rs`, PyTorch is asked where `PEERS_PYTHON` names a Python that has it; elsewhere the files have to be those that it ran.

#[path = "export/case.rs"]
mod case;
#[path = "export/formula.rs"]
mod formula;
#[path = "export/made.rs"]
mod made;
#[path = "export/peers.rs"]
mod peers;
#[path = "export/real.rs"]
mod real;
mod scratch;

use data::InputSpec;
use formula::picture;
use made::{networks, tasks};
use peers::Peer;
use real::{digits, flowers, rows};
use scratch::{Scratch, classes};

const PEER: Peer =
    Peer { imports: "torch, safetensors", script: "torch_peer.py", golden: "torch.json", tolerance: 1e-5 };

#[test]
fn pytorch_loads_strictly_and_answers_the_same_and_the_files_are_those_that_it_ran() {
    let scratch = Scratch::new();
    let cases = networks().into_iter().chain(tasks());
    PEER.check_golden(&scratch, cases.map(|case| (case.name.clone(), case.torch(&scratch))).collect());
}

#[test]
fn pytorch_answers_the_same_on_real_samples() {
    let Some(python) = PEER.python() else { return };
    let scratch = Scratch::new();
    let cases = digits().into_iter().chain(flowers()).chain(rows());
    PEER.check(&python, &scratch, &cases.map(|case| (case.name.clone(), case.torch(&scratch))).collect());
}

/// Names that would end a literal, a line or the program.
#[test]
fn names_of_any_kind_arrive_as_they_are() {
    let Some(python) = PEER.python() else { return };
    let scratch = Scratch::new();
    let cases = tasks();
    let exported = cases.iter().map(|case| (case.name.clone(), case.torch(&scratch))).collect();
    let found = PEER.check(&python, &scratch, &exported);
    for case in &cases {
        let names = ["classes", "labels", "targets"].iter().find_map(|key| case.file.task.get(key)).unwrap();
        assert_eq!(&found[&case.name]["names"], names, "{}", case.name);
        assert_eq!(found[&case.name]["task"], case.file.task["task"], "{}", case.name);
    }
}

#[test]
fn a_folder_is_written_again_only_where_a_model_is() {
    let scratch = Scratch::new();
    scratch.model("w/m.safetensors", InputSpec::Image(picture(3, 9, 8)), &classes(&["it's", "b"]));
    let export = |place: &str| scratch.infer(&["export", "w/m.safetensors", "--torch", place]);
    let done = scratch.infer(&["export", "w/m.safetensors", "--torch", "--onnx"]);
    assert_eq!((done.code, done.out.as_str()), (0, "w/m.onnx\nw/m-torch\n"), "{done:?}");
    assert!(done.err.contains("model.load()"), "{done:?}");
    let read = |name: &str| std::fs::read(scratch.path().join("w/m-torch").join(name)).unwrap();
    let before = [read("model.py"), read("weights.safetensors")];
    assert_eq!(export("w/m-torch").code, 0);
    assert_eq!([read("model.py"), read("weights.safetensors")], before, "equal models give equal files");
    scratch.write("other/model.py", "print('mine')");
    scratch.write("notes/a.txt", "mine");
    for (place, why) in [
        ("other", "isn't what would be written"),
        ("notes", "holds no model.py"),
        ("no/such", "make it first"),
        ("w/m.onnx", "expected a folder"),
    ] {
        let done = export(place);
        assert!(done.code == 2 && done.err.contains(why), "{place}: {done:?}");
    }
    assert_eq!(std::fs::read_to_string(scratch.path().join("other/model.py")).unwrap(), "print('mine')");
}
