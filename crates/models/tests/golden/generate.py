"""Makes the numbers that `golden.rs` compares with: every preset written in PyTorch under the same names, with weights and inputs
made by formula, a forward pass with what each layer makes on the way, and three steps of SGD in training mode.

    python crates/models/tests/golden/generate.py   # writes golden.json beside this script; needs torch and numpy
"""

import json
import math
import pathlib

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

torch.set_num_threads(1)
torch.use_deterministic_algorithms(True)
LEARNING_RATE = 0.01


def wave(count, phase):
    """Numbers in -1..1 that look random, the same in any language: the fraction of 43758.5453 sin(12.9898 i + phase), in f64."""
    x = 43758.5453 * np.sin(12.9898 * np.arange(count, dtype=np.float64) + phase)
    return torch.from_numpy(2 * (x - np.floor(x)) - 1)


def fill(model, ours=lambda name: name):
    """Weights of a sensible scale, 1.5 / sqrt(fan in), and norms near the identity, by the names that `ours` makes of the model's."""
    state = model.state_dict()
    for theirs, tensor in state.items():
        if theirs.endswith("num_batches_tracked"):
            continue
        name = ours(theirs)
        values = wave(tensor.numel(), sum(name.encode()) % 97).reshape(tensor.shape)
        if tensor.dim() > 1:
            values = values * (1.5 / math.sqrt(tensor[0].numel()))
        elif name.endswith("running_var") or (".norm" in name and name.endswith("weight")):
            values = 1 + 0.2 * values
        else:
            values = values * 0.1
        state[theirs] = values.float()
    model.load_state_dict(state)


class Block(nn.Module):
    """One convolution, or two with a bridge over them."""

    def __init__(self, inputs, filters, kernel=3, stride=1, padding=1, norm=False, residual=None):
        super().__init__()
        conv = lambda i, s: nn.Conv2d(i, filters, kernel, s, padding, bias=not norm)
        self.conv1 = conv(inputs, stride)
        self.norm1 = nn.BatchNorm2d(filters) if norm else nn.Identity()
        self.residual, self.stride, self.added = residual, stride, filters - inputs
        if residual:
            self.conv2 = conv(filters, 1)
            self.norm2 = nn.BatchNorm2d(filters)
            if residual == "project" and (stride != 1 or self.added):
                self.shortcut = nn.ModuleDict(
                    {"conv": nn.Conv2d(inputs, filters, 1, stride, bias=False), "norm": nn.BatchNorm2d(filters)}
                )

    def forward(self, x):
        y = F.relu(self.norm1(self.conv1(x)))
        if not self.residual:
            return y
        y = self.norm2(self.conv2(y))
        if hasattr(self, "shortcut"):
            x = self.shortcut["norm"](self.shortcut["conv"](x))
        elif self.stride != 1 or self.added:
            half = self.added // 2
            x = F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, half, self.added - half))
        return F.relu(y + x)


class Stage(nn.Module):
    def __init__(self, blocks, pool=None):
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        self.pool = pool

    def forward(self, x):
        for block in self.blocks:
            x = block(x)
        return F.max_pool2d(x, self.pool) if self.pool else x


class Hidden(nn.Module):
    def __init__(self, inputs, width, norm):
        super().__init__()
        self.linear = nn.Linear(inputs, width, bias=norm != "batch")
        self.norm = {"none": nn.Identity, "batch": nn.BatchNorm1d, "layer": nn.LayerNorm}[norm](
            *([] if norm == "none" else [width])
        )

    def forward(self, x):
        return F.relu(self.norm(self.linear(x)))


class Mlp(nn.Module):
    def __init__(self, inputs, hidden, outputs, norm="none"):
        super().__init__()
        widths = [inputs, *hidden]
        self.hidden = nn.ModuleList(Hidden(i, o, norm) for i, o in zip(widths, hidden))
        self.output = nn.Linear(widths[-1], outputs)

    def forward(self, x):
        x = x.flatten(1)
        for layer in self.hidden:
            x = layer(x)
        return self.output(x)


class Cnn(nn.Module):
    def __init__(self, stages, head, pool):
        super().__init__()
        self.stages = nn.ModuleList(stages)
        self.head = head
        self.pool = pool

    def forward(self, x):
        for stage in self.stages:
            x = stage(x)
        return self.head(x.mean((2, 3)) if self.pool == "global" else x)


def cnn(channels, side, outputs):
    stages = [Stage([Block(channels, 32)], 2), Stage([Block(32, 64)], 2)]
    return Cnn(stages, Mlp(64 * (side // 4) ** 2, [128], outputs), "flat")


def lenet5(channels, side, outputs):
    first = Block(channels, 6, 5, padding=(32 - side) // 2)
    stages = [Stage([first], 2), Stage([Block(6, 16, 5, padding=0)], 2)]
    return Cnn(stages, Mlp(400, [120, 84], outputs), "flat")


def resnet(channels, outputs, stem, filters, repeat, residual):
    stages, inputs = [Stage([Block(channels, stem, norm=True)])], stem
    for i, width in enumerate(filters):
        blocks = []
        for j in range(repeat):
            stride = 2 if i > 0 and j == 0 else 1
            blocks.append(Block(inputs, width, stride=stride, norm=True, residual=residual))
            inputs = width
        stages.append(Stage(blocks))
    return Cnn(stages, Mlp(inputs, [], outputs), "global")


def grouped(channels, outputs):
    """What no preset has: an even kernel and groups, average pooling, group and layer normalisation, GELU."""

    class Grouped(nn.Module):
        def __init__(self):
            super().__init__()
            block = nn.Module()
            block.conv1 = nn.Conv2d(channels, 8, 4, padding="same", groups=channels)
            block.norm1 = nn.GroupNorm(8, 8)
            stage = nn.Module()
            stage.blocks = nn.ModuleList([block])
            self.stages = nn.ModuleList([stage])
            self.head = Mlp(8 * 16, [20], outputs, "none")

        def forward(self, x):
            block = self.stages[0].blocks[0]
            x = F.avg_pool2d(F.gelu(block.norm1(block.conv1(x))), 3, 2)
            x = x.flatten(1)
            x = F.gelu(self.head.hidden[0].linear(x))
            return self.head.output(x)

    return Grouped()


def digest(tensor):
    """First value, sum against a wave (so that no value can hide), length."""
    flat = tensor.detach().double().flatten()
    return [flat[0].item(), (flat @ wave(flat.numel(), 1.0)).item(), flat.norm().item()]


def watch(model):
    """What blocks, pooling and hidden layers put out in the next forward pass, by name."""
    maps, hooks = {}, []
    keep = lambda name: lambda _, inputs, output: maps.__setitem__(name, {"shape": list(output.shape), "values": digest(output)})
    for name, module in model.named_modules():
        if isinstance(module, (Block, Hidden)):
            hooks.append(module.register_forward_hook(keep(name)))
        elif isinstance(module, Stage) and module.pool:
            hooks.append(module.register_forward_hook(keep(name + ".pool")))
    return maps, hooks


def run(model, channels, side, batch=4, outputs=10):
    fill(model)
    return train(model, channels, side, batch, outputs, LEARNING_RATE)[0]


def train(model, channels, side, batch, outputs, lr, watch=watch, ours=lambda name: name):
    """What a filled model answers, three steps of SGD, and what it answers then; and the gradients of the first step."""
    x = wave(batch * channels * side * side, 0.5).reshape(batch, channels, side, side)
    # The inputs of the Rust model are 0..=1 and normalised at its head by (0.5, 0.25), in single precision; here they are normalised already.
    x = (((x.float() + 1) / 2 - 0.5) / 0.25).to(next(model.parameters()).dtype)
    y = torch.tensor([(3 * i + 1) % outputs for i in range(batch)])
    result = {"parameters": sum(p.numel() for p in model.parameters()), "batch": batch, "channels": channels, "side": side}
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
            gradients = {ours(name): digest(p.grad) for name, p in model.named_parameters()}
        optimizer.step()
        result["losses"].append(loss.item())
    # Each tensor after three steps.
    state = model.state_dict().items()
    result["tensors"] = {ours(name): digest(tensor) for name, tensor in state if not name.endswith("num_batches_tracked")}
    model.eval()
    with torch.no_grad():
        result["after"] = model(x).flatten().tolist()
    return result, gradients


def activations():
    x = torch.linspace(-4, 4, 33)
    names = {
        "relu": F.relu, "leaky_relu": F.leaky_relu, "elu": F.elu, "selu": F.selu, "gelu": F.gelu, "silu": F.silu, "mish": F.mish,
        "hard_swish": F.hardswish, "tanh": torch.tanh, "sigmoid": torch.sigmoid, "none": lambda x: x,
    }
    return {name: f(x).tolist() for name, f in names.items()}


def main():
    models = {
        "mlp": run(Mlp(64, [512, 256], 10), 1, 8),
        "mlp-batch": run(Mlp(64, [32, 16], 10, "batch"), 1, 8),
        "mlp-layer": run(Mlp(64, [32, 16], 10, "layer"), 1, 8),
        "cnn": run(cnn(1, 28, 10), 1, 28),
        "lenet5": run(lenet5(1, 28, 10), 1, 28),
        "lenet5-32": run(lenet5(3, 32, 10), 3, 32),
        "resnet20": run(resnet(3, 10, 16, [16, 32, 64], 3, "pad"), 3, 16),
        "resnet18-small": run(resnet(3, 10, 64, [64, 128, 256, 512], 2, "project"), 3, 16),
        "grouped": run(grouped(2, 10), 2, 9),
    }
    golden = {"torch": torch.__version__, "models": models, "activations": activations()}
    path = pathlib.Path(__file__).with_name("golden.json")
    path.write_text(json.dumps(golden, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
