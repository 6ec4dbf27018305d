#!/usr/bin/env python3
"""Re-derives the constants of src/kernel/exp.rs. Needs numpy (`pip install numpy`).

  ln 2   is split into a high part of at most 14 significant bits, so that its product with an
         integer below 1024 is exact in f32, and the rest, rounded to f32.
  e^r    on |r| <= ln(2)/2 is 1 + r + c2 r^2 + ... + c6 r^6 with the least largest relative error
         (Lawson's iteratively reweighted least squares). The coefficients are rounded to f32 one
         after the other, from c2 on, and those that follow are fitted again around each rounding.
"""
import math

import numpy as np

DEGREE = 6


def minimax(target, powers, grid):
    """Coefficients of sum c_p r^p with the least largest |error| / e^r over the grid."""
    scale = np.abs(grid).max()
    basis = np.stack([(grid / scale) ** p / np.exp(grid) for p in powers], axis=1)
    wanted = target / np.exp(grid)
    weight = np.full(len(grid), 1 / len(grid))
    for _ in range(2000):
        root = np.sqrt(weight)[:, None]
        c, *_ = np.linalg.lstsq(basis * root, wanted * root[:, 0], rcond=None)
        error = np.abs(basis @ c - wanted)
        weight *= error
        weight /= weight.sum()
    return [ck / scale**p for ck, p in zip(c, powers)]


def main():
    ln2 = math.log(2)
    high = math.floor(ln2 * 2**14) / 2**14
    low = np.float32(ln2 - high)
    print(f"LOG2_E    = {np.float32(1 / ln2)!r}")
    print(f"LN_2_HIGH = {high!r}   ({int(high * 2**14)} / 2^14)")
    print(f"LN_2_LOW  = {low!r}")

    half = ln2 / 2 * 1.0001  # a little more than the reduction can leave
    grid = half * np.cos(np.pi * (np.arange(2001) + 0.5) / 2001)
    # e^r - 1 - r without cancellation.
    rest = sum(grid**k / math.factorial(k) for k in range(2, 20))
    for power in range(2, DEGREE + 1):
        c = np.float32(minimax(rest, list(range(power, DEGREE + 1)), grid)[0])
        rest = rest - float(c) * grid**power
        print(f"C{power} = {c!r}")
    worst = np.abs(rest / np.exp(grid)).max()
    print(f"relative error of the rounded polynomial: {worst:.3g} = {worst * 2**23:.3f} * 2^-23")


main()
