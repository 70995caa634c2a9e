"""`datasets/mnist/fast.toml` in PyTorch: `python mnist_recipe.py DIR THREADS SEED`, DIR with the four files of MNIST.

One epoch: conv5x5 24, pool, conv3x3 32, pool, 256, 10; Adam, batches of 128, a schedule of one cycle. Reads and decodes the files itself,
keeps the images in memory in the faster memory format, and prints {"seconds": of training, "test_accuracy": ..}; the bench takes the time
of the whole process.
"""

import gzip
import json
import pathlib
import sys
import time

import numpy
import torch
from torch import nn
from torch.nn import functional as F

BATCH = 128
PEAK_LR = 0.007
BETAS = (0.7, 0.9)
MEAN, STD = 0.1307, 0.3081


def read(folder, name, header):
    """The bytes of an IDX file behind its header."""
    packed = folder / f"{name}.gz"
    opened = gzip.open(packed) if packed.exists() else open(folder / name, "rb")
    with opened as file:
        return numpy.frombuffer(file.read(), numpy.uint8, offset=header)


def part(folder, name):
    """Images, normalised and channels-last, and their classes."""
    pixels = torch.from_numpy(read(folder, f"{name}-images-idx3-ubyte", 16).reshape(-1, 1, 28, 28).copy())
    images = ((pixels.float() / 255 - MEAN) / STD).contiguous(memory_format=torch.channels_last)
    return images, torch.from_numpy(read(folder, f"{name}-labels-idx1-ubyte", 8).astype(numpy.int64))


def network():
    """215,194 parameters."""
    return nn.Sequential(
        *[nn.Conv2d(1, 24, 5), nn.MaxPool2d(2), nn.ReLU(), nn.Conv2d(24, 32, 3), nn.MaxPool2d(2), nn.ReLU()],
        *[nn.Flatten(), nn.Linear(800, 256), nn.ReLU(), nn.Linear(256, 10)],
    ).to(memory_format=torch.channels_last)


def main(folder, threads, seed):
    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    images, classes = part(folder, "train")
    start, net = time.perf_counter(), network()
    steps = -(-len(images) // BATCH)  # the last batch is smaller
    adam = torch.optim.Adam(net.parameters(), PEAK_LR, BETAS, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(adam, PEAK_LR, total_steps=steps, cycle_momentum=False)
    order = torch.randperm(len(images))
    for step in range(steps):
        chosen = order[step * BATCH : (step + 1) * BATCH]
        adam.zero_grad(set_to_none=True)
        F.cross_entropy(net(images[chosen]), classes[chosen]).backward()
        adam.step()
        schedule.step()
    seconds = time.perf_counter() - start
    images, classes = part(folder, "t10k")
    with torch.inference_mode():
        right = sum((net(x).argmax(1) == y).sum().item() for x, y in zip(images.split(1000), classes.split(1000)))
    print(json.dumps({"seconds": seconds, "test_accuracy": right / len(images)}))


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
