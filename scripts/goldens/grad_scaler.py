#!/usr/bin/env python3
"""Makes test/goldens/grad-scaler.json: the loss scales that PyTorch's GradScaler goes through.

  python scripts/goldens/grad_scaler.py [--output test/goldens/grad-scaler.json]
"""
import argparse
import json
import random

import torch


def trace(initial, window, overflows):
    """Scale after each step, and whether the optimizer was called."""
    scaler = torch.amp.GradScaler("cpu", init_scale=initial, growth_interval=window)
    parameter = torch.nn.Parameter(torch.ones(3))
    optimizer = torch.optim.SGD([parameter], lr=1.0)
    scales, applied = [], []
    for overflow in overflows:
        optimizer.zero_grad()
        scaler.scale(parameter.sum() * (float("inf") if overflow else 0.5)).backward()
        before = parameter.detach().clone()
        scaler.step(optimizer)
        scaler.update()
        scales.append(scaler.get_scale())
        applied.append(not torch.equal(before, parameter.detach()))
    return {"initial": initial, "window": window, "overflows": overflows, "scales": scales, "applied": applied}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", default="test/goldens/grad-scaler.json")
    output = parser.parse_args().output
    random.seed(11)
    drawn = lambda n, share: [random.random() < share for _ in range(n)]
    traces = [
        trace(65536.0, 3, drawn(40, 0.25)),
        trace(1000.0, 1, drawn(20, 0.5)),
        trace(2.0**126, 2, [False] * 8),
        trace(65536.0, 2000, drawn(30, 0.1)),
    ]
    with open(output, "w") as f:
        json.dump({"torch": torch.__version__, "traces": traces}, f)
        f.write("\n")


if __name__ == "__main__":
    main()
