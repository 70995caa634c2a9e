"""PyTorch's half of the benchmark: `python torch_peer.py THREADS`, spoken to as `server` says.

Variants say the memory format and whether `torch.compile` made the network; `-fused` trains with `Adam(fused=True)`, `-frozen` makes the
weights constants. `sgemm` multiplies
two square matrices of BATCH rows, to measure what the machine can do: by MKL (`torch.mm`), by oneDNN (a 1x1 convolution) or by NumPy's
OpenBLAS. Where the environment's BENCH_DEVICE names a GPU, all of it is computed on PyTorch's of that number (`cuda`, or `mps`), and each step ends with
a wait for it; products are then `torch.mm`'s, and in single precision, as everybody's.
"""

import os
import sys

import numpy
import torch
from torch.nn import functional as F

import models
import server

LR = 1e-3
TRAIN = ["eager", "eager-fused", "channels-last-fused", "compile-fused", "compile-channels-last-fused"]
PREDICT = ["eager", "channels-last", "compile-frozen", "compile-frozen-channels-last"]
SGEMM = ["mkl", "onednn", "openblas"]
BACKEND, _, NUMBER = os.environ.get("BENCH_DEVICE", "cpu").partition(":")
ON_GPU = BACKEND not in ("cpu", "flex", "ndarray")
GPU = "cuda" if torch.cuda.is_available() else "mps"
if ON_GPU and GPU == "mps" and not torch.backends.mps.is_available():
    sys.exit(f"--device {BACKEND}: this PyTorch finds no GPU; install one that does, or leave --peers out")
torch.backends.cudnn.allow_tf32 = False  # as everybody computes
DEVICE = torch.device(f"{GPU}:{NUMBER or 0}" if ON_GPU else "cpu")
if ON_GPU and GPU == "cuda":
    torch.cuda.set_device(DEVICE)  # which is then the one that is waited for


def prepare(model, batch, variant):
    """The network and a batch in the variant's memory format, and the classes."""
    net = models.build(model).to(DEVICE)
    inputs = torch.rand(batch, *models.shape(model), generator=torch.Generator().manual_seed(1)).to(DEVICE)
    classes = (torch.arange(batch) % models.CLASSES).to(DEVICE)
    if "channels-last" in variant:
        net, inputs = (x.to(memory_format=torch.channels_last) for x in (net, inputs))
    return net, inputs, classes


def train(model, batch, variant):
    """One step: forward, cross-entropy, backward, Adam."""
    net, inputs, classes = prepare(model, batch, variant)
    forward = torch.compile(net, dynamic=False) if variant.startswith("compile") else net
    adam = torch.optim.Adam(net.parameters(), LR, fused=True if variant.endswith("-fused") else None)

    def step():
        adam.zero_grad(set_to_none=True)
        F.cross_entropy(forward(inputs), classes).backward()
        adam.step()

    return step


def predict(model, batch, variant):
    """One step: the logits of a batch."""
    net, inputs, _ = prepare(model, batch, variant)
    net = net.eval().requires_grad_(False)
    compiled = variant.startswith("compile")
    forward = torch.compile(net, options={"freezing": True}, dynamic=False) if compiled else net
    without_gradients = torch.no_grad if compiled else torch.inference_mode

    def step():
        with without_gradients():
            forward(inputs)

    return step


def sgemm(size, variant):
    """One step: the product of two square matrices, of 2 size^3 operations."""
    a, b = torch.rand(size, size, device=DEVICE), torch.rand(size, size, device=DEVICE)
    if variant in ("mkl", "gpu"):
        c = torch.empty(size, size, device=DEVICE)
        return lambda: torch.mm(a, b, out=c)
    if variant == "openblas":
        a, b = a.numpy(), b.numpy()
        c = numpy.empty_like(a)
        return lambda: numpy.matmul(a, b, out=c)
    image = torch.rand(1, size, size, 1).to(memory_format=torch.channels_last)
    weight = b.reshape(size, size, 1, 1).to(memory_format=torch.channels_last)
    return lambda: F.conv2d(image, weight)


def build(what, model, batch, variant):
    """A function that does one step."""
    if what == "sgemm":
        return sgemm(batch, variant)
    return {"train": train, "predict": predict}[what](model, batch, variant)


def build_waiting(*case):
    """The same, which waits for a GPU: it runs behind."""
    step = build(*case)
    if not ON_GPU:
        return step
    wait = torch.cuda.synchronize if GPU == "cuda" else torch.mps.synchronize

    def stepped():
        step()
        wait()

    return stepped


if __name__ == "__main__":
    torch.set_num_threads(int(sys.argv[1]))
    variants = {"train": TRAIN, "predict": PREDICT, "sgemm": ["gpu"] if ON_GPU else SGEMM}
    server.serve("PyTorch", torch.__version__, variants, build_waiting, torch.compiler.reset)
