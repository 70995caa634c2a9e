"""Writes what `pretrained.rs` reads: two small files of `torch.save`, in the format of today and the one before 1.6, and the names and shapes
that torchvision and timm give the tensors of ResNet-18 and ResNet-50.

    python crates/models/tests/golden/pretrained.py   # writes small.pt, small_legacy.pt and resnet_names.json beside this script; needs torch, torchvision, timm
"""

import json
import pathlib

import timm
import torch
import torchvision

HOME = pathlib.Path(__file__).parent


def small():
    """A perceptron of 6 inputs, 4 hidden units and 3 outputs as a training script saves it: wrapped, with an optimizer beside it."""
    numbers = lambda count, shape, dtype: (torch.arange(count, dtype=torch.float64) / 8 - 1).reshape(shape).to(dtype)
    weights = {
        "module.hidden.0.linear.weight": numbers(24, (4, 6), torch.float32),
        "module.hidden.0.linear.bias": numbers(4, (4,), torch.float16),
        "module.output.weight": numbers(12, (4, 3), torch.bfloat16).T,
        "module.output.bias": numbers(3, (3,), torch.float64),
    }
    return {"epoch": 3, "state_dict": weights, "optimizer": {"state": {0: {"exp_avg": torch.zeros(24)}}}}


def shapes(model):
    return {name: list(tensor.shape) for name, tensor in model.state_dict().items()}


torch.save(small(), HOME / "small.pt")
torch.save(small(), HOME / "small_legacy.pt", _use_new_zipfile_serialization=False)
names = {
    "torchvision": {name: shapes(getattr(torchvision.models, name)()) for name in ("resnet18", "resnet50")},
    "timm": {name: shapes(timm.create_model(name)) for name in ("resnet18", "resnet50")},
}
made_with = {"torch": torch.__version__, "torchvision": torchvision.__version__, "timm": timm.__version__}
text = json.dumps({"made_with": made_with, "names": names}, sort_keys=True)
(HOME / "resnet_names.json").write_text(text + "\n")
