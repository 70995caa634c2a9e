"""Makes the seeds of the fuzz targets, tiny files that every reader accepts: python3 seeds.py (Pillow for the pictures)."""

import gzip
import hashlib
import json
import struct
from io import BytesIO
from pathlib import Path

HERE = Path(__file__).parent
SETS = HERE.parent / "datasets"


def seed(target, name, data):
    path = HERE / "seeds" / target / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def halves(first, second):
    return struct.pack("<H", len(first)) + first + second


def idx():
    images = bytes([0, 0, 8, 3, 0, 0, 0, 12, 0, 0, 0, 2, 0, 0, 0, 2]) + bytes(range(48))
    labels = bytes([0, 0, 8, 1, 0, 0, 0, 12]) + bytes([0, 1, 2] * 4)
    seed("idx", "plain", halves(images, labels))
    seed("idx", "gzip", halves(gzip.compress(images, mtime=0), gzip.compress(labels, mtime=0)))
    colour = bytes([0, 0, 8, 4, 0, 0, 0, 4, 0, 0, 0, 3, 0, 0, 0, 2, 0, 0, 0, 2]) + bytes(range(48))
    seed("idx", "colour", halves(colour, bytes([0, 0, 8, 1, 0, 0, 0, 4, 0, 1, 0, 1])))


def cifar():
    ten = b"\n".join(bytes([c]) for c in b"abcdefghij")
    seed("cifar", "ten", halves(ten, bytes([0b11000010, 0, 1, 2])))
    seed("cifar", "nameless", halves(b"", bytes([0b11100000, 1, 2, 3, 4])))
    seed("cifar", "hundred", halves(b"\n".join(b"c%d" % c for c in range(100)), bytes([0b11100011, 0, 1])))


def csv():
    rows = b"".join(b"%d,%s,%d.5\n" % (i, [b"red", b"blue"][i % 2], i * 7 % 11) for i in range(12))
    seed("csv", "comma", b"\x02" + b"a,colour,y\n" + rows)
    seed("csv", "first", b"\x01" + b"y,colour,b\n" + rows)
    seed("csv", "tab", b"\x02" + (b"a,colour,y\n" + rows).replace(b",", b"\t"))
    seed("csv", "quotes", b"\x02" + b'a;"b ""x""";y\n1;"2\n3";no\n2;;yes\n3;"4;5";no\n4;NA;yes\n')
    seed("csv", "labels", b"\x0a" + b"a,y\n1,p;q\n2,q\n3,\n4,p|r\n")
    seed("csv", "bare", b"\x01" + b"1,2,3\n4,5,6\n7,8,9\n1,3,3\n")
    seed("csv", "gzip", b"\x02" + gzip.compress(b"a,colour,y\n" + rows, mtime=0))
    seed("csv", "list", b"\x00" + b"path,label\na.png,cat\nb.png,dog\n")


def image():
    from PIL import Image

    for mode, formats in {
        "L": ["png", "bmp", "gif", "jpeg", "webp", "tiff", "ppm"],
        "RGB": ["png", "bmp", "jpeg", "webp", "tiff", "ppm"],
        "RGBA": ["png", "webp", "tiff"],
        "LA": ["png"],
        "P": ["png", "gif", "bmp"],
        "1": ["png", "tiff", "ppm", "bmp"],
        "I;16": ["png", "tiff"],
        "CMYK": ["jpeg", "tiff"],
        "F": ["tiff"],
    }.items():
        for format in formats:
            picture = Image.new(mode, (7, 5))
            for x in range(7):
                for y in range(5):
                    value = (x * 31 + y * 17) % (2 if mode == "1" else 256)
                    bands = len(picture.getbands())
                    picture.putpixel((x, y), float(value) if mode == "F" else value if bands == 1 else (value,) * bands)
            out = BytesIO()
            options = {"lossless": True} if format == "webp" and mode == "L" else {}
            picture.save(out, format, **options)
            seed("image", f"{mode.replace(';', '')}-{format}", b"\x2b" + out.getvalue())
    for compression in ["tiff_lzw", "tiff_adobe_deflate", "packbits"]:
        out = BytesIO()
        Image.new("RGB", (9, 9), (1, 2, 3)).save(out, "tiff", compression=compression)
        seed("image", compression, b"\x40" + out.getvalue())
    out = BytesIO()
    Image.new("RGB", (16, 9), (9, 8, 7)).save(out, "jpeg", progressive=True)
    seed("image", "progressive", b"\x05" + out.getvalue())


def texts():
    for path in sorted(SETS.glob("*/*.toml")):
        target = "dataset_toml" if path.name == "dataset.toml" else "recipe"
        seed(target, f"{path.parent.name}-{path.stem}", path.read_bytes())
    seed("recipe", "tables", b'[model]\narch = "mlp"\nhidden = [8]\n[optimizer]\nname = "sgd"\nmomentum = 0.9\n[schedule]\nname = "step"\nevery = 2\n')


def safetensors(tensors, metadata=None):
    header, data = {}, b""
    if metadata:
        header["__metadata__"] = metadata
    for name, shape in tensors.items():
        n = 4
        for side in shape:
            n *= side
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [len(data), len(data) + n]}
        data += bytes(n)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + data


def model(config, channels, tensors, task):
    image = {"kind": "image", "channels": channels, "height": 4, "width": 4, "fit": "crop", "filter": "triangle"}
    return {
        "format": "striate",
        "version": "1",
        "model": json.dumps(config),
        "input": json.dumps(image | {"mean": [0.5] * channels, "std": [0.5] * channels}),
        "outputs": "2",
        "task": json.dumps(task),
        "provenance": "{}",
        "metrics": "{}",
    }, tensors


def models():
    classes = {"task": "classification", "classes": ["a", "b"], "loss": {"label_smoothing": 0.0, "class_weights": None}}
    mlp = {"arch": "mlp", "hidden": [3], "activation": "relu", "norm": "none", "dropout": 0.0, "init": "torch"}
    tensors = {"hidden.0.linear.weight": [3, 16], "hidden.0.linear.bias": [3], "output.weight": [2, 3], "output.bias": [2]}
    metadata, tensors = model(mlp, 1, tensors, classes)
    whole = safetensors(tensors, metadata)
    seed("model_file", "mlp", whole)
    golden = Path(__file__).parent.parent / "crates/models/tests/golden"
    for name in ("small.pt", "small_legacy.pt"):
        seed("pretrained", name.replace(".", "_"), (golden / name).read_bytes())
    seed("pretrained", "safetensors", safetensors({"hidden.0.linear.weight": [4, 6], "hidden.0.linear.bias": [4], "output.weight": [3, 4], "output.bias": [3]}, {"format": "pt"}))


def checkpoints():
    progress = {"epoch": 1, "batch": 0, "step": 3, "best": {"epoch": 1, "value": "0.5", "loss": "inf"}, "seconds": 0.5}
    progress |= {"sums": {"loss": "0", "samples": 0, "correct": 0}, "plateau": {"best": None, "wait": 0, "factor": "1"}, "lr": "0.01", "reached": None}
    progress |= {"changes": [{"step": 2, "setting": "epochs", "was": "2", "now": "3"}], "rollbacks": 0}
    progress |= {"left_out": [{"step": 1, "epoch": 1, "batch": 2, "cause": "the loss is NaN"}]}
    settings = {"lr": "0.1", "device": "flex", "split.csv": "sha256 00", "model": '{ arch = "mlp" }'}
    manifest = {"format": 2, "sha256": {"progress.json": hashlib.sha256(b"").hexdigest()}}
    seed("checkpoint", "manifest", b"\x00" + json.dumps(manifest).encode())
    seed("checkpoint", "progress", b"\x01" + json.dumps(progress).encode())
    seed("checkpoint", "progress_1", b"\x81" + json.dumps(progress).encode())
    tensors = safetensors({"a.weight": [2, 3], "b": [1]})
    for choice, name in [(2, "model"), (3, "optimizer"), (4, "ema")]:
        seed("checkpoint", name, bytes([choice]) + tensors)
    seed("checkpoint", "settings", b"\x05" + json.dumps(settings).encode())
    seed("checkpoint", "results", b"\x06" + results())


def results():
    header = "epoch,time,train/loss,train/accuracy_top1,val/loss,metrics/accuracy_top1,metrics/map,lr/pg0,weights/sha256\n"
    rows = (f"{e},{e}.500,0.{9 - e},0.5,0.{8 - e},0.6{e},,1e-3,{e:064x}\n" for e in range(1, 4))
    return (header + "".join(rows)).encode()


def runs():
    data = {"hashed": "pixels"} | {part: {"samples": 3, "sha256": "0" * 64} for part in ["train", "val", "test"]}
    machine = {"os": "linux", "arch": "x86_64", "vectors": "avx2", "threads": 2}
    run = {"v": 1, "striate": "0.1.0", "binary_sha256": "1" * 64, "lock_sha256": "2" * 64, "crates": {"burn": "0.22.1"}}
    run |= {"config_sha256": "3" * 64, "seed": 7, "device": ["flex", "CPU"], "machine": machine, "data": data}
    metrics = {"v": 1, "ended": "epochs", "epochs": 3, "best_epoch": 2, "monitor": "accuracy", "seconds": 1.5}
    metrics |= {"changes": [{"step": 2, "setting": "epochs", "was": "2", "now": "3"}], "left_out": [], "rollbacks": 0}
    metrics |= {"chosen_on": {"loss": 0.5}, "test": None}
    seed("run", "run", b"\x00" + json.dumps(run, indent=1).encode())
    seed("run", "results", b"\x01" + results())
    seed("run", "metrics", b"\x02" + json.dumps(metrics).encode())
    parts = ["train", "train", "val", "train", "test", "train", "val", "train", "train", "unused", "train", "test"]
    rows = "".join(f"table.csv:{line},{part}\n" for line, part in enumerate(parts, 2))
    seed("run", "split", b"\x03" + ("sample,split\n" + rows).encode())
    seed("run", "exclude", b"\x04" + b"sample,reason\ntable.csv:3,a copy\ntable.csv:7,\"unreadable, it is\"\n")


for make in [idx, cifar, csv, image, texts, models, checkpoints, runs]:
    make()
