"""What `cargo xtask crash` does to our trainer, done to others and to it alike: `python crash.py lightning|burn|striate [--kills N] ...`.

A run is killed at random moments, many of them inside of a save, and resumed the way the peer's documentation says; the disk is full
from some write on; a loss is NaN. Prints what happened as JSON. `lightning` needs requirements.txt; `burn` and `striate` build
what they run with cargo; all need Linux and a C compiler. `--tmp` gives the peer temporary files elsewhere, such as on another file system.
"""

import argparse
import array
import gzip
import hashlib
import json
import math
import os
import pathlib
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
DIGITS = HERE.parent.parent / "datasets/digits/digits.csv.gz"
IN_A_RUN = 4
FULL_DISKS = 6
NAN_AT = 40
ENOSPC = 28


class Peer:
    """A program that trains: `command DIGITS FOLDER`. It prints `training` and `the final weights`, and leaves FOLDER/final at the end."""

    saves = "."

    def sitting(self, digits, folder, **_):
        return [*self.command, digits, folder]

    def training(self, child, _):
        """Waits for the first step; whether it came."""
        return says(child, "training")

    def final(self, folder):
        """What a run has come to, if it has ended."""
        path = folder / "final"
        return path.read_bytes() if path.exists() else None


class Lightning(Peer):
    """Checkpoints are FOLDER/*.ckpt; `last.ckpt` is what is gone on with."""

    def __init__(self, _):
        import torch

        self.torch = torch
        self.command = [sys.executable, HERE / "lightning_crash.py"]

    def load(self, path):
        return self.torch.load(path, map_location="cpu", weights_only=False)

    def checkpoints(self, folder):
        """How far the newest one is that the next sitting begins with, and those that cannot be used."""
        newest, broken = 0, []
        for path in folder.glob("*.ckpt"):
            try:
                step = self.load(path)["global_step"]
                newest = max(newest, step) if path.name.startswith("last") else newest
            except Exception:
                broken.append(path)
        return newest, broken

    def finite(self, folder):
        """Which checkpoints hold only finite numbers."""
        weights = {path.name: self.load(path)["current_model_state"] for path in sorted(folder.glob("*.ckpt"))}
        return {name: all(bool(value.isfinite().all()) for value in state.values()) for name, state in weights.items()}


class Burn(Peer):
    """Checkpoints are FOLDER/checkpoint/{model,optim,scheduler}-EPOCH.bpk."""

    saves = "checkpoint"

    def __init__(self, scratch):
        manifest = HERE / "burn_learner/Cargo.toml"
        built = cargo("burn_learner", HERE.parent.parent / "target/burn_learner", "--manifest-path", manifest)
        self.command = [shutil.copy(built, scratch)]

    def checkpoints(self, folder):
        """The newest epoch of which all files are there, and files of epochs of which some are missing."""
        files = list((folder / "checkpoint").glob("*.bpk"))
        epochs = {}
        for path in files:
            epochs.setdefault(int(re.search(r"(\d+)\.bpk$", path.name)[1]), []).append(path)
        whole = [epoch for epoch, parts in epochs.items() if len(parts) == 3]
        return max(whole, default=0), [path for parts in epochs.values() if len(parts) < 3 for path in parts]

    def finite(self, folder):
        """Only the epochs that are kept: what they hold is Burn's own format."""
        return sorted(path.name for path in (folder / "checkpoint").glob("model-*.bpk"))


def cargo(package, target, *words):
    """Builds a program, which is to be copied: another build must not exchange it meanwhile."""
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", target))
    subprocess.run(["cargo", "build", "--quiet", "--target-dir", target, *words], check=True, cwd=HERE)
    return target / "debug" / package


class Striate(Peer):
    """Checkpoints are FOLDER/run/checkpoints/step-*; the newest is gone on with."""

    saves = "run"
    train = (
        "train digits --limit 600 --model cnn --filters 8,16 --norm batch --dropout 0.2 --augment light --optimizer sgd --lr 0.05"
        " --ema 0.9 --batch 16"
    )
    # Too high a learning rate, once it has warmed up.
    diverges = "train {table} --label y --model mlp --hidden 16 --optimizer sgd --lr 0.3 --warmup 1 --batch 16"

    def __init__(self, scratch):
        built = cargo("trainer", HERE.parent.parent / "target", "-p", "trainer")
        self.program = shutil.copy(built, scratch)
        self.table = scratch / "table.csv"
        chance = random.Random(1)
        rows = [[chance.uniform(-1, 1) for _ in range(3)] for _ in range(600)]
        lines = [f"{a:.4f},{b:.4f},{c:.4f},{3 * a - 2 * b + a * c:.4f}" for a, b, c in rows]
        self.table.write_text("\n".join(["a,b,c,y", *lines]))

    def sitting(self, _, folder, nan):
        if (folder / "run/args.toml").exists():
            return [self.program, "resume", folder / "run"]
        train = self.diverges.format(table=self.table) if nan else self.train
        return [self.program, *train.split(), "--epochs", "3", "--checkpoint-steps", "8", "--runs", folder, "--name", "run"]

    def training(self, child, folder):
        while child.poll() is None:
            if b"train loss" in (folder / "errors").read_bytes()[child.said_before :]:
                return True
            time.sleep(0.002)
        return False

    def final(self, folder):
        run = folder / "run"
        if not (run / "metrics.json").exists():
            return None
        return b"".join((run / f"weights/{name}.safetensors").read_bytes() for name in ("last", "best"))

    def checkpoints(self, folder):
        """The newest one's step, and those of which a file isn't what the manifest says."""
        newest, broken = 0, []
        for path in (folder / "run/checkpoints").glob("step-*"):
            if path.suffix == ".partial":
                continue
            hashes = json.loads((path / "manifest.json").read_text())["sha256"]
            whole = all(hashlib.sha256((path / name).read_bytes()).hexdigest() == was for name, was in hashes.items())
            newest = max(newest, int(path.name.split("-")[1])) if whole else newest
            broken += [] if whole else [path]
        return newest, broken

    def finite(self, folder):
        """Which model files hold only finite numbers: f32 after a header whose length stands first."""
        found = {}
        for path in sorted((folder / "run/weights").glob("*.safetensors")):
            data = path.read_bytes()
            numbers = data[8 + int.from_bytes(data[:8], "little") :]
            values = array.array("f", numbers[: len(numbers) // 4 * 4])
            found[path.name] = all(map(math.isfinite, values))
        return found


class Lab:
    """Starts the peer in folders of its own, and knows what a run comes to when nothing happens."""

    def __init__(self, peer, scratch, tmp):
        self.scratch, self.tmp = scratch, tmp
        self.peer = peer(scratch)
        self.shim = scratch / "shim.so"
        source = HERE.parent / "crash/shim.c"
        subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", self.shim, source, "-ldl"], check=True)
        self.digits = scratch / "digits.csv"
        self.digits.write_bytes(gzip.decompress(DIGITS.read_bytes()))
        straight, again, trace = self.folder("straight"), self.folder("again"), scratch / "trace"
        begin = self.start(straight, SHIM_COUNT=scratch / "counts")
        assert self.peer.training(begin, straight), f"no training: {last_error(straight)}"
        start = time.monotonic()
        begin.communicate()
        self.seconds = time.monotonic() - start
        assert begin.returncode == 0, f"the run that nothing happens to ended with {begin.returncode}"
        self.writes = int(re.search(r"write (\d+)", (scratch / "counts").read_text())[1])
        self.expected = self.peer.final(straight)
        self.start(again, self.peer.saves, SHIM_TRACE=trace).communicate()
        self.deterministic = self.peer.final(again) == self.expected
        lines = trace.read_text().splitlines()
        self.changes = sum(not line.startswith("close") and not line.endswith("keep whole") for line in lines)

    def folder(self, name):
        folder = self.scratch / name
        shutil.rmtree(folder, ignore_errors=True)
        (folder / "tmp").mkdir(parents=True)
        return folder

    def start(self, folder, root=".", nan=False, **extra):
        """A sitting; `root` is the part of the folder that the shim watches, `nan` one whose numbers are to become infinite."""
        shim = {"LD_PRELOAD": self.shim, "SHIM_ROOT": os.path.normpath(folder / root)}
        places = {"TMPDIR": self.tmp or folder / "tmp"}
        environment = {**os.environ, **places, **shim, **{name: str(value) for name, value in extra.items()}}
        with open(folder / "errors", "ab") as errors:
            before = errors.tell()
            child = subprocess.Popen(
                self.peer.sitting(self.digits, folder, nan=nan), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors,
                env={name: str(value) for name, value in environment.items()},
            )  # fmt: skip
        child.said_before = before
        return child

    def end(self, folder, **extra):
        """A sitting to its end: the exit code and what it printed."""
        child = self.start(folder, **extra)
        text, _ = child.communicate(timeout=300)
        return child.returncode, text.decode()


def says(child, words):
    """Waits for a line that begins so; whether it ever came."""
    return any(line.decode().startswith(words) for line in child.stdout)


def last_error(folder):
    """The last line of stderr that says something."""
    lines = (folder / "errors").read_text(errors="replace").splitlines()
    return next((line.strip() for line in reversed(lines) if "rror" in line or "panicked" in line), "")[:200]


def kills(lab, most, chance):
    """kill -9, up to IN_A_RUN times in a run, each time resumed."""
    tally = dict.fromkeys(
        ["kills", "inside_a_save", "before_the_first_checkpoint", "checkpoints_lost", "checkpoints_broken", "resumes_failed",
         "runs", "runs_resumed_from_a_checkpoint", "of_these_equal_bits"], 0,
    )  # fmt: skip
    while tally["kills"] < most:
        run = lab.folder(f"kills-{tally['runs']}")
        newest = resumed = 0
        for _ in range(min(1 + chance.randrange(IN_A_RUN), most - tally["kills"])):
            code, inside = kill(lab, run, chance)
            resumed |= newest > 0
            if code == 0:
                break
            if code > 0:
                repair(lab, run, tally)
                continue
            before = newest
            newest, broken = lab.peer.checkpoints(run)
            tally["kills"] += 1
            tally["inside_a_save"] += inside
            tally["before_the_first_checkpoint"] += newest == 0
            tally["checkpoints_lost"] += newest < before
            tally["checkpoints_broken"] += bool(broken)
        resumed |= newest > 0
        while lab.peer.final(run) is None and lab.end(run)[0] != 0:
            repair(lab, run, tally)
        tally["runs"] += 1
        tally["runs_resumed_from_a_checkpoint"] += resumed
        tally["of_these_equal_bits"] += resumed and lab.peer.final(run) == lab.expected
        print(f"{tally} {last_error(run)}", file=sys.stderr)
    return tally


def repair(lab, run, tally):
    """What a user would do where it cannot be gone on with: away with what is broken."""
    tally["resumes_failed"] += 1
    broken = lab.peer.checkpoints(run)[1]
    assert broken, f"it fails, and nothing is broken: {last_error(run)}"
    for path in broken:
        path.unlink()


def kill(lab, run, chance):
    """At a change that a save makes or at any moment of training: the exit code, below 0 if killed, and whether inside of a save."""
    at = 1 + chance.randrange(1 + chance.randrange(lab.changes)) if chance.random() < 0.5 else None
    child = lab.start(run, lab.peer.saves, **({"SHIM_KILL": at} if at else {}))
    training = lab.peer.training(child, run)
    if training and at is None:
        time.sleep(lab.seconds * chance.random())
        child.kill()
    child.communicate()
    # A kill behind the end is none.
    return 0 if lab.peer.final(run) is not None else child.returncode, training and at is not None


def full_disk(lab):
    """Every write fails from one of them on; then there is room again."""
    found = []
    for number in range(FULL_DISKS):
        run = lab.folder("full")
        at = 1 + lab.writes * (number + 1) // (FULL_DISKS + 1)
        code, _ = lab.end(run, SHIM_FAIL=f"write:{at}:{ENOSPC}:ever")
        newest, broken = lab.peer.checkpoints(run)
        case = {"from_write": at, "exit_code": code, "error": last_error(run), "newest": newest, "broken": len(broken)}
        code, _ = lab.end(run)
        found.append({**case, "resume_exit_code": code, "equal_bits": lab.peer.final(run) == lab.expected})
    return found


def diverging(lab, **extra):
    """The loss of one step is NaN."""
    run = lab.folder("nan")
    code, text = lab.end(run, nan=True, NAN_AT=NAN_AT, **extra)
    return {"exit_code": code, "said": text.splitlines()[-1:], "error": last_error(run), "finite": lab.peer.finite(run)}


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("peer", choices=["lightning", "burn", "striate"])
    options.add_argument("--kills", type=int, default=30)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--tmp", type=pathlib.Path)
    options = options.parse_args()
    peer = {"lightning": Lightning, "burn": Burn, "striate": Striate}[options.peer]
    with tempfile.TemporaryDirectory() as scratch:
        lab = Lab(peer, pathlib.Path(scratch), options.tmp)
        report = {"same_bits_when_nothing_happens": lab.deterministic, "changes": lab.changes}
        print(json.dumps(report), file=sys.stderr)
        report["kills"] = kills(lab, options.kills, random.Random(options.seed))
        if options.tmp is None:
            report["full_disk"] = full_disk(lab)
            report["nan"] = diverging(lab)
            if options.peer == "lightning":
                report["nan_with_check_finite"] = diverging(lab, CHECK_FINITE=1)
        print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
