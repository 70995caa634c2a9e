"""Makes the numbers by which `golden.rs` compares the presets `resnet18` and `resnet50` with torchvision's networks: its own classes, with
weights and inputs made by formula under our names, a forward pass with what each block makes, the gradients, and three steps of SGD.

    python crates/models/tests/golden/resnets.py   # writes resnets.json beside this script; needs torch, torchvision, numpy
"""

import json
import math
import pathlib
import re

import numpy as np
import torch
import torchvision
from torch.nn import functional as F

torch.set_num_threads(1)
torch.use_deterministic_algorithms(True)
# Small: gradients of networks as deep as these differ between any two orders of summation, where a value near zero falls on one side of
# ReLU or the other. PyTorch's own, in channels-last, differ from its usual ones by 7e-3 in what `digest` makes of the first convolution's.
LEARNING_RATES = {"resnet18": 1e-5, "resnet50": 1e-9}
OUTPUTS = 10
# An odd number, so that strides leave rows and columns over.
SIDE = 67
BATCH = 4


def wave(count, phase):
    """As in `generate.py`."""
    x = 43758.5453 * np.sin(12.9898 * np.arange(count, dtype=np.float64) + phase)
    return torch.from_numpy(2 * (x - np.floor(x)) - 1)


def ours(name):
    """Our name for torchvision's."""
    name = re.sub(r"^fc\.", "head.output.", name)
    name = re.sub(r"^(conv1|bn1)\.", r"stages.0.blocks.0.\1.", name)
    name = re.sub(r"^layer(\d)\.(\d+)\.", r"stages.\1.blocks.\2.", name)
    name = name.replace("downsample.0", "shortcut.conv").replace("downsample.1", "shortcut.norm")
    return re.sub(r"\.bn(\d)\.", r".norm\1.", name)


def fill(model):
    """`fill` of `generate.py`, under our names."""
    state = model.state_dict()
    for name, tensor in state.items():
        if name.endswith("num_batches_tracked"):
            continue
        name_here = ours(name)
        values = wave(tensor.numel(), sum(name_here.encode()) % 97).reshape(tensor.shape)
        if tensor.dim() > 1:
            values = values * (1.5 / math.sqrt(tensor[0].numel()))
        elif name.endswith("running_var") or (".norm" in name_here and name.endswith("weight")):
            values = 1 + 0.2 * values
        else:
            values = values * 0.1
        state[name] = values.float()
    model.load_state_dict(state)
    model.double()


def digest(tensor):
    flat = tensor.detach().double().flatten()
    return [flat[0].item(), (flat @ wave(flat.numel(), 1.0)).item(), flat.norm().item()]


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
    # Single precision as an input, double on the way.
    x = ((wave(BATCH * 3 * SIDE * SIDE, 0.5).float().reshape(BATCH, 3, SIDE, SIDE) + 1) / 2 - 0.5) / 0.25
    x = x.double()
    y = torch.tensor([(3 * i + 1) % OUTPUTS for i in range(BATCH)])
    result = {"parameters": sum(p.numel() for p in model.parameters()), "batch": BATCH, "channels": 3, "side": SIDE, "lr": lr}
    model.eval()
    result["maps"], hooks = watch(model)
    with torch.no_grad():
        result["before"] = model(x).flatten().tolist()
    for hook in hooks:
        hook.remove()
    model.train()
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    result["losses"] = []
    for step in range(3):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        if step == 0:
            result["gradients"] = {ours(name): digest(p.grad) for name, p in model.named_parameters()}
        optimizer.step()
        result["losses"].append(loss.item())
    state = model.state_dict().items()
    result["tensors"] = {ours(name): digest(tensor) for name, tensor in state if not name.endswith("num_batches_tracked")}
    model.eval()
    with torch.no_grad():
        result["after"] = model(x).flatten().tolist()
    return result


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
