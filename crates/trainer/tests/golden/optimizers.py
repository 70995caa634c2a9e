"""Golden numbers of the optimizers, clipping and schedules, from PyTorch 2.15.

    python optimizers.py > optimizers.json

Lion isn't part of PyTorch: its reference below is the paper's algorithm 2 written out. The loss of the optimizer problem is
0.5 * |x W^T + b - y|^2 summed, so that its gradient has no square root to lose digits in.
"""

import json
import math
import sys

import torch

torch.manual_seed(7)
X = torch.randn(6, 4)
Y = torch.randn(6, 3)
W = torch.randn(3, 4)
B = torch.randn(3)
LR = 0.05
STEPS = 5


class Lion(torch.optim.Optimizer):
    """Chen et al., "Symbolic discovery of optimization algorithms", 2023, algorithm 2."""

    def __init__(self, params, lr=1e-4, betas=(0.9, 0.99), weight_decay=0.0):
        super().__init__(params, dict(lr=lr, betas=betas, weight_decay=weight_decay))

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            beta1, beta2 = group["betas"]
            for p in group["params"]:
                state = self.state[p]
                m = state.setdefault("exp_avg", torch.zeros_like(p))
                update = (m * beta1 + p.grad * (1 - beta1)).sign()
                p.mul_(1 - group["lr"] * group["weight_decay"])
                p.sub_(update * group["lr"])
                m.mul_(beta2).add_(p.grad, alpha=1 - beta2)


OPTIMIZERS = [
    # (our configuration, torch's class, torch's arguments)
    ({"name": "sgd"}, torch.optim.SGD, {}),
    ({"name": "sgd", "weight_decay": 0.1}, torch.optim.SGD, {"weight_decay": 0.1}),
    ({"name": "sgd", "momentum": 0.9}, torch.optim.SGD, {"momentum": 0.9}),
    ({"name": "sgd", "momentum": 0.9, "dampening": 0.3}, torch.optim.SGD, {"momentum": 0.9, "dampening": 0.3}),
    (
        {"name": "sgd", "momentum": 0.9, "nesterov": True, "weight_decay": 0.1},
        torch.optim.SGD,
        {"momentum": 0.9, "nesterov": True, "weight_decay": 0.1},
    ),
    ({"name": "adam"}, torch.optim.Adam, {}),
    (
        {"name": "adam", "beta1": 0.8, "beta2": 0.95, "eps": 1e-3, "weight_decay": 0.1},
        torch.optim.Adam,
        {"betas": (0.8, 0.95), "eps": 1e-3, "weight_decay": 0.1},
    ),
    ({"name": "adamw"}, torch.optim.AdamW, {}),
    (
        {"name": "adamw", "beta1": 0.8, "beta2": 0.95, "eps": 1e-3, "weight_decay": 0.3},
        torch.optim.AdamW,
        {"betas": (0.8, 0.95), "eps": 1e-3, "weight_decay": 0.3},
    ),
    ({"name": "rmsprop"}, torch.optim.RMSprop, {}),
    (
        {"name": "rmsprop", "momentum": 0.9, "weight_decay": 0.1},
        torch.optim.RMSprop,
        {"momentum": 0.9, "weight_decay": 0.1},
    ),
    (
        {"name": "rmsprop", "alpha": 0.9, "eps": 1e-4, "momentum": 0.5, "centered": True},
        torch.optim.RMSprop,
        {"alpha": 0.9, "eps": 1e-4, "momentum": 0.5, "centered": True},
    ),
    ({"name": "lion"}, Lion, {}),
    (
        {"name": "lion", "beta1": 0.8, "beta2": 0.95, "weight_decay": 0.3},
        Lion,
        {"betas": (0.8, 0.95), "weight_decay": 0.3},
    ),
]


def loss(w, b):
    return 0.5 * (X @ w.T + b - Y).pow(2).sum()


def train(cls, arguments, lr=LR, steps=STEPS, **clip):
    w, b = W.clone().requires_grad_(), B.clone().requires_grad_()
    # The bias is spared from weight decay.
    groups = [{"params": [w]}, {"params": [b], "weight_decay": 0.0}]
    optimizer = cls(groups, lr=lr, **arguments)
    trace = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss(w, b).backward()
        norm = None
        if "norm" in clip:
            norm = torch.nn.utils.clip_grad_norm_([w, b], clip["norm"]).item()
        if "value" in clip:
            torch.nn.utils.clip_grad_value_([w, b], clip["value"])
        optimizer.step()
        trace.append({"weight": w.detach().flatten().tolist(), "bias": b.detach().tolist(), "norm": norm})
    return trace


def rates(make, base, steps, every=1):
    """The learning rate in each step of a scheduler that steps once in `every` batches."""
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=base)
    scheduler = make(optimizer)
    out = []
    for step in range(steps):
        out.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if (step + 1) % every == 0:
            scheduler.step()
    return out


S = torch.optim.lr_scheduler
TOTAL, EPOCH, BASE = 40, 10, 0.2


def warmed(w, after):
    """`LinearLR` from 1/(w+1) over w steps, then `after`."""
    return lambda o: S.SequentialLR(
        o, [S.LinearLR(o, start_factor=1 / (w + 1), total_iters=w), after(o)], milestones=[w]
    )


SCHEDULES = [
    ({"name": "constant"}, rates(lambda o: S.ConstantLR(o, factor=1.0), BASE, TOTAL)),
    ({"name": "constant", "warmup_steps": 5}, rates(warmed(5, lambda o: S.ConstantLR(o, factor=1.0)), BASE, TOTAL)),
    ({"name": "linear", "end": 0.1}, rates(lambda o: S.LinearLR(o, 1.0, 0.1, TOTAL), BASE, TOTAL)),
    ({"name": "step", "every": 2, "gamma": 0.3}, rates(lambda o: S.StepLR(o, 2, 0.3), BASE, TOTAL, EPOCH)),
    ({"name": "cosine"}, rates(lambda o: S.CosineAnnealingLR(o, TOTAL), BASE, TOTAL)),
    ({"name": "cosine", "min_lr": 0.01}, rates(lambda o: S.CosineAnnealingLR(o, TOTAL, 0.01), BASE, TOTAL)),
    (
        {"name": "cosine", "min_lr": 0.01, "warmup_epochs": 0.5},
        rates(warmed(5, lambda o: S.CosineAnnealingLR(o, TOTAL - 5, 0.01)), BASE, TOTAL),
    ),
    ({"name": "one_cycle"}, rates(lambda o: S.OneCycleLR(o, BASE, total_steps=TOTAL, cycle_momentum=False), BASE, TOTAL)),
    (
        {"name": "one_cycle", "pct_start": 0.1, "div_factor": 10.0, "final_div_factor": 100.0},
        rates(
            lambda o: S.OneCycleLR(
                o, BASE, total_steps=TOTAL, pct_start=0.1, div_factor=10, final_div_factor=100, cycle_momentum=False
            ),
            BASE,
            TOTAL,
        ),
    ),
    ({"name": "polynomial"}, rates(lambda o: S.PolynomialLR(o, TOTAL), BASE, TOTAL)),
    ({"name": "polynomial", "power": 2.0}, rates(lambda o: S.PolynomialLR(o, TOTAL, 2.0), BASE, TOTAL)),
]


def plateau(values, mode, **arguments):
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=BASE)
    scheduler = S.ReduceLROnPlateau(optimizer, mode=mode, **arguments)
    out = []
    for value in values:
        scheduler.step(value)
        out.append(optimizer.param_groups[0]["lr"])
    return {"values": values, "higher": mode == "max", "lr": out}


LOSSES = [1.0, 0.9, 0.95, 0.91, 0.90001, 0.8999, 0.7, 0.8, math.inf, 0.75, 0.71, 0.6, 0.6, 0.6, 0.6, 0.6, 0.6, 0.6]

json.dump(
    {
        "x": X.tolist(),
        "y": Y.tolist(),
        "weight": W.tolist(),
        "bias": B.tolist(),
        "lr": LR,
        "optimizers": [{"config": ours, "trace": train(cls, arguments)} for ours, cls, arguments in OPTIMIZERS],
        "clip_norm": [
            {"max": limit, "trace": train(torch.optim.SGD, {"momentum": 0.9}, norm=limit)} for limit in (0.5, 5.0, 1000.0)
        ],
        "clip_value": [{"max": 0.4, "trace": train(torch.optim.SGD, {"momentum": 0.9}, value=0.4)}],
        "schedules": {
            "base": BASE,
            "total": TOTAL,
            "epoch": EPOCH,
            "cases": [{"config": config, "lr": lr} for config, lr in SCHEDULES],
        },
        "plateau": [
            {"config": {"name": "plateau", "factor": 0.5, "patience": 1},
             **plateau([v if v != math.inf else 1e9 for v in LOSSES], "min", factor=0.5, patience=1)},
            {"config": {"name": "plateau", "factor": 0.1, "patience": 2, "min_lr": 0.001},
             **plateau([1 - v if v != math.inf else -1e9 for v in LOSSES], "max", factor=0.1, patience=2, min_lr=0.001)},
        ],
    },
    sys.stdout,
)
