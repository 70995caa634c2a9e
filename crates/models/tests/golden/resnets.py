"""Makes the numbers by which `golden.rs` compares the presets `resnet18` and `resnet50` with torchvision's networks: its own classes, with
weights and inputs made by formula under our names, a forward pass with what each block makes, the gradients, and three steps of SGD.

    python crates/models/tests/golden/resnets.py   # writes resnets.json beside this script; needs torch, torchvision, numpy
"""

import json
import pathlib
import re

import torch
import torchvision

import generate
from generate import digest

# Small: gradients of networks as deep as these differ between any two orders of summation, where a value near zero falls on one side of
# ReLU or the other. PyTorch's own, in channels-last, differ from its usual ones by 7e-3 in what `digest` makes of the first convolution's.
LEARNING_RATES = {"resnet18": 1e-5, "resnet50": 1e-9}
OUTPUTS = 10
# An odd number, so that strides leave rows and columns over.
SIDE = 67
BATCH = 4


def ours(name):
    """Our name for torchvision's."""
    name = re.sub(r"^fc\.", "head.output.", name)
    name = re.sub(r"^(conv1|bn1)\.", r"stages.0.blocks.0.\1.", name)
    name = re.sub(r"^layer(\d)\.(\d+)\.", r"stages.\1.blocks.\2.", name)
    name = name.replace("downsample.0", "shortcut.conv").replace("downsample.1", "shortcut.norm")
    return re.sub(r"\.bn(\d)\.", r".norm\1.", name)


def fill(model):
    generate.fill(model, ours)
    model.double()


def watch(model):
    maps, hooks = {}, []
    keep = lambda name: lambda _, inputs, output: maps.__setitem__(name, {"shape": list(output.shape), "values": digest(output)})
    hooks.append(model.relu.register_forward_hook(keep("stages.0.blocks.0")))
    hooks.append(model.maxpool.register_forward_hook(keep("stages.0.pool")))
    for name, module in model.named_modules():
        if re.fullmatch(r"layer\d\.\d+", name):
            hooks.append(module.register_forward_hook(keep(ours(name + ".")[:-1])))
    return maps, hooks


def run(model, lr):
    fill(model)
    result, gradients = generate.train(model, 3, SIDE, BATCH, OUTPUTS, lr, watch, ours)
    return {**result, "gradients": gradients, "lr": lr}


def main():
    models = {
        "resnet18": run(torchvision.models.resnet18(num_classes=OUTPUTS), LEARNING_RATES["resnet18"]),
        "resnet50": run(torchvision.models.resnet50(num_classes=OUTPUTS), LEARNING_RATES["resnet50"]),
    }
    made_with = {"torch": torch.__version__, "torchvision": torchvision.__version__}
    golden = {"made_with": made_with, "models": models}
    path = pathlib.Path(__file__).with_name("resnets.json")
    path.write_text(json.dumps(golden, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
