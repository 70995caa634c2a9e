"""A folder of pictures to JSON lines, as one writes it with Pillow and ONNX Runtime: `folder_onnx.py MODEL.onnx FOLDER WORKERS`.

The model is one that `infer export --onnx` wrote: bytes of the network's size in, probabilities out. Each worker decodes, resizes and
predicts on a thread of its own, 32 pictures at once; lines come in the order of the files.
"""

import json
import multiprocessing
import os
import pathlib
import sys

import numpy as np
import onnxruntime
from PIL import Image, ImageOps

BATCH = 32


def begin(model):
    global session, names, size
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    names = json.loads(session.get_modelmeta().custom_metadata_map["names"])
    size = session.get_inputs()[0].shape[2:]


def read(path):
    image = ImageOps.exif_transpose(Image.open(path)).convert("RGB")
    height, width = size
    scale = max(width / image.width, height / image.height)
    w, h = min(width / scale, image.width), min(height / scale, image.height)
    left, top = (image.width - w) / 2, (image.height - h) / 2
    return np.asarray(image.resize((width, height), Image.Resampling.BILINEAR, (left, top, left + w, top + h)))


def predict(paths):
    images = np.stack([read(path) for path in paths]).transpose(0, 3, 1, 2)
    probabilities = session.run(["probabilities"], {"image": np.ascontiguousarray(images)})[0]
    lines = []
    for path, row in zip(paths, probabilities):
        top = row.argsort()[::-1][:3]
        topk = [{"label": names[i], "index": int(i), "prob": float(row[i])} for i in top]
        lines.append(json.dumps({"v": 1, "source": path, **topk[0], "topk": topk}))
    return lines


def main(model, folder, workers):
    endings = {".jpg", ".jpeg", ".png"}
    paths = sorted(str(path) for path in pathlib.Path(folder).rglob("*") if path.suffix.lower() in endings)
    parts = [paths[start : start + BATCH] for start in range(0, len(paths), BATCH)]
    with multiprocessing.Pool(int(workers), begin, [model]) as pool:
        for lines in pool.imap(predict, parts):
            print("\n".join(lines))


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main(*sys.argv[1:])
