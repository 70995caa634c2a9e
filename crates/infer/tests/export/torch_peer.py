"""Answers what PyTorch says of the folders that `infer export --torch` wrote, as JSON: `torch_peer.py FOLDER`.

`FOLDER/cases.json` lists them, as for `peer.py`; inputs of tables are the fields of rows by the names of the columns.
"""

import ast
import importlib.util
import json
import pathlib
import sys

import numpy as np
import safetensors.torch
import torch

folder = pathlib.Path(sys.argv[1])
answers = {}
for name, case in json.loads((folder / "cases.json").read_text()).items():
    place = folder / case["torch"]
    spec = importlib.util.spec_from_file_location(name.replace("-", "_"), place / "model.py")
    model = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(model)
    # What stands in the file is no more than it seems: only the names that the model has are texts from outside.
    ast.parse((place / "model.py").read_text(encoding="utf-8"))
    network = model.load()
    # PyTorch's own readers load the weights strictly, too.
    model.Network().load_state_dict(safetensors.torch.load_file(place / "weights.safetensors"), strict=True)
    if "rows" in case:
        inputs = torch.stack([model.encode(row) for row in case["rows"]])
    else:
        given = case["inputs"]["image"]
        inputs = torch.from_numpy(np.fromfile(folder / given["values"], dtype="uint8").reshape(given["shape"]))
    found = torch.cat([model.predict(network, part) for part in inputs.split(100)])
    answers[name] = {
        "names": model.NAMES,
        "task": model.TASK,
        "outputs": {"values": found.double().flatten().tolist()},
    }
print(json.dumps(answers))
