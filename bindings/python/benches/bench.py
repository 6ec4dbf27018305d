"""Measures the package beside PyTorch's `F.cross_entropy`, and writes BENCHMARKS.md beside this folder.

    RAYON_NUM_THREADS=1 python bindings/python/benches/bench.py [--quick] [--out FILE]

The functions take turns, and their least time counts. Both have as many threads as RAYON_NUM_THREADS says, or as there are
processors that this process may use.
"""

import argparse
import os
import platform
import sys
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

import xent
import xent.torch

SHAPES = [(8192, 10), (4096, 128), (1024, 1000), (256, 32_000), (16, 50_257), (8, 128_256), (4, 21, 65_536)]
PAGE = Path(__file__).parents[1] / "BENCHMARKS.md"


def least(functions, seconds):
    """The least time of a call of each function, in seconds: they take turns until so much time has gone by."""
    calls = []
    for function in functions:
        function()
        start = time.perf_counter()
        function()
        # As many at once as take a tenth of a millisecond, so that the clock does not count.
        calls.append(max(1, int(1e-4 / max(time.perf_counter() - start, 1e-9))))
    best = [float("inf")] * len(functions)
    end = time.perf_counter() + seconds
    rounds = 0
    while time.perf_counter() < end or rounds < 5:
        for i, function in enumerate(functions):
            start = time.perf_counter()
            for _ in range(calls[i]):
                function()
            best[i] = min(best[i], (time.perf_counter() - start) / calls[i])
        rounds += 1
    return best


def forward_and_backward(function, x, target, **options):
    def call():
        x.grad = None
        function(x, target, **options).backward()

    return call


def measured(shape, seconds):
    """Times of the loss, and of the loss and its gradient: of xent and of PyTorch."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(shape, generator=generator) * 3
    target = torch.randint(shape[1], shape[:1] + shape[2:], generator=generator)
    leaf = x.clone().requires_grad_()
    axis, array, labels = 1, x.numpy(), target.numpy()
    out = np.empty_like(array)
    theirs, ours = F.cross_entropy(x, target), xent.torch.cross_entropy(x, target)
    if not torch.allclose(theirs, ours, rtol=1e-5):
        sys.exit(f"{shape}: {ours} and {theirs}")
    return least(
        [
            lambda: F.cross_entropy(x, target),
            lambda: xent.torch.cross_entropy(x, target),
            lambda: xent.cross_entropy(array, labels, axis=axis),
            forward_and_backward(F.cross_entropy, leaf, target),
            forward_and_backward(xent.torch.cross_entropy, leaf, target),
            lambda: xent.loss_and_grad(array, labels, axis=axis, out=out),
        ],
        seconds,
    )


def overhead(seconds):
    """Times of calls of one row and ten classes, where there is little to compute."""
    x, target = torch.randn(1, 10), torch.tensor([3])
    array, labels = x.numpy(), target.numpy()
    out = np.empty_like(array)
    leaf = x.clone().requires_grad_()
    calls = {
        "`F.cross_entropy`": lambda: F.cross_entropy(x, target),
        "`xent.torch.cross_entropy`": lambda: xent.torch.cross_entropy(x, target),
        "`xent.cross_entropy` of NumPy arrays": lambda: xent.cross_entropy(array, labels),
        "`xent.cross_entropy` of tensors": lambda: xent.cross_entropy(x, target),
        "`xent.softmax` of a NumPy array, to `out`": lambda: xent.softmax(array, out=out),
        "`F.cross_entropy` and `backward`": forward_and_backward(F.cross_entropy, leaf, target),
        "`xent.torch.cross_entropy` and `backward`": forward_and_backward(xent.torch.cross_entropy, leaf, target),
    }
    return zip(calls, least(list(calls.values()), seconds))


def processor():
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor()


def text(microseconds):
    return f"{microseconds:.2f}" if microseconds < 10 else f"{microseconds:,.0f}"


def page(arguments, threads):
    yield "# Benchmarks of the Python package\n"
    yield "Written by one command, of the installed package and PyTorch, in the same process:\n"
    yield "```text\nRAYON_NUM_THREADS=1 python bindings/python/benches/bench.py\n```\n"
    yield (
        f"{processor()}, {threads} thread{'s' if threads > 1 else ''}, backend {xent.backend()}; Python {platform.python_version()}, "
        f"NumPy {np.__version__}, PyTorch {torch.__version__.split('+')[0]} (eager), xent {xent.__version__}. Microseconds of a call: the least of all, the "
        "functions taking turns. Shapes are rows × classes, or (N, C, d). The last column is PyTorch's time over that of "
        "`xent.torch`.\n"
    )
    rows = [(shape, [1e6 * t for t in measured(shape, arguments.seconds)]) for shape in SHAPES]
    for title, first, name in (
        ("The loss", 0, "cross_entropy"),
        ("The loss and its gradient", 3, "loss_and_grad"),
    ):
        suffix = ", `backward`" if first else ""
        yield f"## {title}\n"
        yield f"| shape | `F.cross_entropy`{suffix} | `xent.torch.cross_entropy`{suffix} | `xent.{name}` of NumPy | ratio |"
        yield "|---|---:|---:|---:|---:|"
        for shape, times in rows:
            torch_time, drop_in, own = times[first : first + 3]
            name_of = " × ".join(f"{n:,}" for n in shape)
            yield f"| {name_of} | {text(torch_time)} | {text(drop_in)} | {text(own)} | {torch_time / drop_in:.2f} |"
        yield ""
    yield "## Overhead of a call\n"
    yield "One row of ten classes.\n"
    yield "| call | µs |\n|---|---:|"
    for name, seconds in overhead(arguments.seconds):
        yield f"| {name} | {text(1e6 * seconds)} |"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="less time for each shape, and print instead of writing")
    parser.add_argument("--out", type=Path, default=PAGE, help="the page")
    arguments = parser.parse_args()
    arguments.seconds = 0.5 if arguments.quick else 5.0
    threads = int(os.environ.get("RAYON_NUM_THREADS", 0)) or len(os.sched_getaffinity(0))
    torch.set_num_threads(threads)
    lines = []
    for line in page(arguments, threads):
        print(line, flush=True)
        lines.append(line)
    if not arguments.quick:
        arguments.out.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
