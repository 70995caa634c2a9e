"""Writes into FOLDER the weights of torchvision's and timm's ResNet-18 and ResNet-50, drawn at random, in every way in which they are
saved, an input and their answers to it.

    python crates/models/tests/peers/resnets.py FOLDER   # needs torch, torchvision, timm, safetensors
"""

import pathlib
import sys

import timm
import torch
import torchvision
from safetensors.torch import save_file

OUTPUTS = 12


def drawn(model):
    """Running statistics too, which every package begins with zeros and ones."""
    for name, buffer in model.named_buffers():
        if name.endswith("running_mean"):
            buffer.normal_(0, 0.2)
        elif name.endswith("running_var"):
            buffer.uniform_(0.8, 1.2)
    return model.eval()


def main(folder):
    torch.manual_seed(7)
    x = torch.rand(2, 3, 96, 96)
    (folder / "x.bin").write_bytes(x.numpy().tobytes())
    makers = {
        "torchvision": lambda name: getattr(torchvision.models, name)(num_classes=OUTPUTS),
        "timm": lambda name: timm.create_model(name, num_classes=OUTPUTS),
    }
    for package, make in makers.items():
        for name in ("resnet18", "resnet50"):
            model = drawn(make(name))
            state, place = model.state_dict(), str(folder / f"{package}-{name}")
            torch.save(state, place + ".pt")
            torch.save(state, place + ".legacy.pt", _use_new_zipfile_serialization=False)
            wrapped = {"module." + key: value for key, value in state.items()}
            torch.save({"epoch": 7, "state_dict": wrapped, "optimizer": {"state": {0: torch.zeros(3)}}}, place + ".nested.pt")
            save_file(state, place + ".safetensors", {"format": "pt"})
            with torch.no_grad():
                (folder / f"{package}-{name}.bin").write_bytes(model(x).numpy().tobytes())


main(pathlib.Path(sys.argv[1]))
