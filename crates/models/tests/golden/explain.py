"""Makes the numbers that `explain.rs` compares with: Grad-CAM and integrated gradients by torch.autograd, of the networks, weights and
inputs of `generate.py` and `resnets.py`.

    python crates/models/tests/golden/explain.py   # writes explain.json beside this script; needs torch, torchvision
"""

import json
import pathlib

import torch
import torchvision
from torch.nn import functional as F

import resnets
from generate import Mlp, cnn, digest, fill, lenet5, resnet, wave

STEPS = 16


def grad_cam(model, last, x, classes):
    """Equations 1 and 2 of Selvaraju 2017 at the last block, and the map at the input's size."""
    kept = []
    hook = last.register_forward_hook(lambda _, inputs, output: kept.append(output))
    scores = model(x)
    hook.remove()
    chosen = scores[range(len(classes)), classes]
    (slope,) = torch.autograd.grad(chosen.sum(), kept[0])
    heat = F.relu((slope.mean((2, 3), keepdim=True) * kept[0]).sum(1, keepdim=True))
    large = F.interpolate(heat, x.shape[2:], mode="bilinear")
    return {"size": list(heat.shape[2:]), "maps": [digest(one) for one in heat], "upsampled": [digest(one) for one in large]}


def integrated_gradients(model, x, baseline, output):
    """Equation 1 of Sundararajan 2017 at the midpoints of STEPS parts."""
    shares = ((torch.arange(STEPS, dtype=torch.float64) + 0.5) / STEPS).to(x.dtype)
    points = (baseline + shares.reshape(-1, 1, 1, 1) * (x - baseline)).requires_grad_()
    (slopes,) = torch.autograd.grad(model(points)[:, output].sum(), points)
    values = (x - baseline) * slopes.mean(0)
    with torch.no_grad():
        ends = [model(one.unsqueeze(0))[0, output].item() for one in (x, baseline)]
    return {"values": digest(values), "sum": values.double().sum().item(), "score": ends[0], "baseline": ends[1]}


def run(model, channels, side, batch=2, fill=fill, dtype=torch.float32):
    fill(model)
    model.eval()
    x = wave(batch * channels * side * side, 0.5).reshape(batch, channels, side, side)
    # Normalised, as in generate.py; what is added up over the line is the same on either side of a normalisation.
    x = (((x.float() + 1) / 2 - 0.5) / 0.25).to(dtype)
    # Of other outputs nothing may speak for some.
    classes = model(x).argmax(1).tolist()
    result = {"channels": channels, "side": side, "outputs": classes}
    # The mean, 0.5, and black.
    baselines = [torch.zeros_like(x[0]), torch.full_like(x[0], -0.5 / 0.25)]
    result["integrated"] = [integrated_gradients(model, x[i], baselines[i % 2], classes[i]) for i in range(batch)]
    if hasattr(model, "stages") or hasattr(model, "layer4"):
        last = model.layer4[-1] if hasattr(model, "layer4") else model.stages[-1].blocks[-1]
        result["grad_cam"] = grad_cam(model, last, x, classes)
    return result


def main():
    models = {
        "mlp": run(Mlp(64, [512, 256], 10), 1, 8),
        "cnn": run(cnn(1, 28, 10), 1, 28),
        "lenet5": run(lenet5(1, 28, 10), 1, 28),
        "resnet20": run(resnet(3, 10, 16, [16, 32, 64], 3, "pad"), 3, 16),
        "resnet18-small": run(resnet(3, 10, 64, [64, 128, 256, 512], 2, "project"), 3, 16),
    }
    for name in ("resnet18", "resnet50"):
        model = getattr(torchvision.models, name)(num_classes=resnets.OUTPUTS)
        models[name] = run(model, 3, resnets.SIDE, fill=resnets.fill, dtype=torch.float64)
    golden = {"torch": torch.__version__, "steps": STEPS, "models": models}
    path = pathlib.Path(__file__).with_name("explain.json")
    path.write_text(json.dumps(golden, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
