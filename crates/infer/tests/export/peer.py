"""Answers what ONNX's checker and ONNX Runtime say of the models in a folder, as JSON: `peer.py FOLDER`.

`FOLDER/cases.json` lists them: for each the file, and for each input its type, shape and values (a file of little-endian numbers, or text).
"""

import json
import pathlib
import sys

import numpy as np
import onnx
import onnxruntime

folder = pathlib.Path(sys.argv[1])
answers = {}
for name, case in json.loads((folder / "cases.json").read_text()).items():
    path = folder / case["file"]
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    feeds = {}
    for given in session.get_inputs():
        tensor = case["inputs"].pop(given.name)
        if tensor["type"] == "text":
            values = np.array(tensor["values"], dtype=object)
        else:
            values = np.fromfile(folder / tensor["values"], dtype=tensor["type"])
        feeds[given.name] = values.reshape(tensor["shape"])
    assert not case["inputs"], f"{name} has no inputs {list(case['inputs'])}"
    names = [output.name for output in session.get_outputs()]
    outputs = {name: output.astype("float64").ravel().tolist() for name, output in zip(names, session.run(None, feeds))}
    answers[name] = {
        "outputs": outputs,
        "metadata": session.get_modelmeta().custom_metadata_map,
    }
print(json.dumps(answers))
