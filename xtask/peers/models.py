"""The benchmark's networks in PyTorch, layer for layer those of `crates/models`: the same arithmetic, so that images per second compare.

`build(name)` gives a module of logits, `shape(name)` the shape of one input. Where a maximum pooling follows a ReLU, the two commute;
`pool_first` puts the pooling first, a quarter of the work for a framework that doesn't fuse them.
"""

import torch
from torch import nn
from torch.nn import functional as F

CLASSES = 10
SHAPES = {"mlp": (1, 28, 28), "cnn": (1, 28, 28), "resnet20": (3, 32, 32), "mobile": (3, 32, 32)}


def shape(name):
    """Channels, height and width of an input."""
    return SHAPES[name]


def build(name, pool_first=True):
    """The network of that name, with PyTorch's initial weights: speed doesn't depend on them."""
    torch.manual_seed(0)
    return {"mlp": mlp, "cnn": lambda: cnn(pool_first), "resnet20": Resnet20, "mobile": mobile}[name]()


def mlp():
    """784-512-256-10."""
    return nn.Sequential(
        nn.Flatten(), nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 256), nn.ReLU(), nn.Linear(256, CLASSES)
    )


def cnn(pool_first):
    """3x3 convolutions of 32 and 64 filters, each pooled by 2, and a hidden layer of 128."""
    after = [nn.MaxPool2d(2), nn.ReLU()] if pool_first else [nn.ReLU(), nn.MaxPool2d(2)]
    features = [nn.Conv2d(1, 32, 3, padding=1), *after, nn.Conv2d(32, 64, 3, padding=1), *after]
    return nn.Sequential(*features, nn.Flatten(), nn.Linear(64 * 7 * 7, 128), nn.ReLU(), nn.Linear(128, CLASSES))


def convolution(inputs, filters, kernel=3, stride=1, groups=1):
    """A convolution and its batch normalisation, without a bias, which the normalisation would subtract again."""
    conv = nn.Conv2d(inputs, filters, kernel, stride, kernel // 2, groups=groups, bias=False)
    return [conv, nn.BatchNorm2d(filters)]


def mobile():
    """Depthwise 3x3 and pointwise 1x1 convolutions in turn (Howard 2017), from 32 to 256 filters."""
    layers, inputs = [*convolution(3, 32), nn.ReLU()], 32
    for filters, stride in [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1)]:
        layers += [*convolution(inputs, inputs, 3, stride, groups=inputs), nn.ReLU()]
        layers += [*convolution(inputs, filters, 1), nn.ReLU()]
        inputs = filters
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, CLASSES))


class Block(nn.Module):
    """Two convolutions with a bridge over them (He 2016, option A: zeros for the channels that are new)."""

    def __init__(self, inputs, filters, stride):
        super().__init__()
        self.body = nn.Sequential(*convolution(inputs, filters, 3, stride), nn.ReLU(), *convolution(filters, filters))
        self.stride, self.added = stride, filters - inputs

    def forward(self, x):
        y = self.body(x)
        if self.added:
            half = self.added // 2
            x = F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, half, self.added - half))
        return F.relu(y + x)


class Resnet20(nn.Module):
    """He 2016 for images of 32x32: three stages of three blocks, of 16, 32 and 64 filters."""

    def __init__(self):
        super().__init__()
        blocks, inputs = [], 16
        for filters, stride in [(16, 1), (32, 2), (64, 2)]:
            for index in range(3):
                blocks.append(Block(inputs, filters, stride if index == 0 else 1))
                inputs = filters
        self.features = nn.Sequential(*convolution(3, 16), nn.ReLU(), *blocks)
        self.output = nn.Linear(64, CLASSES)

    def forward(self, x):
        return self.output(self.features(x).mean((2, 3)))
