"""Measures the package beside PyTorch, eager and compiled, and JAX, and writes BENCHMARKS.md beside this folder.

    RAYON_NUM_THREADS=1 python bindings/python/benches/bench.py [--quick] [--out FILE]

The functions take turns, and their least time counts. All have as many threads as RAYON_NUM_THREADS says, or as there are
processors that this process may use, and as many processors. JAX, and the C++ compiler that torch.compile needs, may be
missing: the page says so then.
"""

import argparse
import importlib
import os
import platform
import sys
import time
from pathlib import Path

import numpy as np
import sharded
import torch
import torch.nn.functional as F

import xent
import xent.torch

SHAPES = [(8192, 10), (4096, 128), (1024, 1000), (256, 32_000), (16, 50_257), (8, 128_256), (4, 21, 65_536)]
HERE = Path(__file__).resolve()
PAGE = HERE.parents[1] / "BENCHMARKS.md"
# What the crate itself is measured beside.
sys.path.append(str(HERE.parents[3] / "benches" / "peers" / "python"))


class Peer:
    """A library that is compiled for each shape, if it is here, and why it is not otherwise."""

    def __init__(self, title, name, threads):
        self.title, self.problems = title, []
        try:
            self.library = importlib.import_module(f"libraries.{name}").Library(threads)
        except Exception as error:  # whatever a library raises is why it is not here
            self.library = None
            self.note(error)

    def note(self, error, where=""):
        """Keeps why there is no number, in one line."""
        self.problems.append(f"{where}{type(error).__name__}: {' '.join(str(error).split())[:200]}")

    def calls(self, x, target, expected):
        """The loss, and the loss and its gradient, already compiled: None each where that is not to be had."""
        if self.library is None:
            return None, None
        try:
            self.library.load(x.numpy(), target.numpy(), x.numpy())
            calls = [self.library.operations[name] for name in ("sparse_loss", "sparse_loss_and_gradient")]
            losses = calls[0](), calls[1]()[0]
        except Exception as error:  # a compiler's too
            self.note(error, f"{name_of(x.shape)}: ")
            return None, None
        for loss in losses:
            np.testing.assert_allclose(self.library.to_numpy(loss), expected, rtol=1e-5, err_msg=f"{self.title}, {x.shape}")
        return calls


def least(functions, seconds):
    """The least time of a call of each function, in seconds: they take turns until so much time has gone by. None of None.

    Before each turn there is a call that does not count: the caches are those that the function itself leaves, not another one.
    """
    calls = []
    for function in functions:
        if function is None:
            calls.append(0)
            continue
        function()
        start = time.perf_counter()
        function()
        # As many at once as take a tenth of a millisecond, so that the clock does not count.
        calls.append(max(1, int(1e-4 / max(time.perf_counter() - start, 1e-9))))
    best = [float("inf") if function else None for function in functions]
    end = time.perf_counter() + seconds
    rounds = 0
    while time.perf_counter() < end or rounds < 5:
        for i, function in enumerate(functions):
            if function is None:
                continue
            function()
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


def drawn(shape):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(shape, generator=generator) * 3
    return x, torch.randint(shape[1], shape[:1] + shape[2:], generator=generator)


def measured(shape, peers, seconds):
    """Times of the loss, then of the loss and its gradient: of PyTorch, the peers, `xent.torch` and `xent`."""
    x, target = drawn(shape)
    leaf = x.clone().requires_grad_()
    array, labels = x.numpy(), target.numpy()
    out = np.empty_like(array)
    theirs, ours = F.cross_entropy(x, target), xent.torch.cross_entropy(x, target)
    if not torch.allclose(theirs, ours, rtol=1e-5):
        sys.exit(f"{shape}: {ours} and {theirs}")
    compiled = [peer.calls(x, target, ours.item()) for peer in peers]
    functions = [
        lambda: F.cross_entropy(x, target),
        *(loss for loss, _ in compiled),
        lambda: xent.torch.cross_entropy(x, target),
        lambda: xent.cross_entropy(array, labels, axis=1),
        forward_and_backward(F.cross_entropy, leaf, target),
        *(both for _, both in compiled),
        forward_and_backward(xent.torch.cross_entropy, leaf, target),
        lambda: xent.loss_and_grad(array, labels, axis=1, out=out),
    ]
    times = least(functions, seconds)
    return times[: len(times) // 2], times[len(times) // 2 :]


def overhead(peers, seconds):
    """Times of calls of one row and ten classes, where there is little to compute."""
    x, target = drawn((1, 10))
    array, labels = x.numpy(), target.numpy()
    out = np.empty_like(array)
    leaf = x.clone().requires_grad_()
    compiled = [(peer, peer.calls(x, target, xent.cross_entropy(array, labels))) for peer in peers]
    calls = {
        "`F.cross_entropy`": lambda: F.cross_entropy(x, target),
        **{f"{peer.title}, the loss": loss for peer, (loss, _) in compiled},
        "`xent.torch.cross_entropy`": lambda: xent.torch.cross_entropy(x, target),
        "`xent.cross_entropy` of NumPy arrays": lambda: xent.cross_entropy(array, labels),
        "`xent.cross_entropy` of tensors": lambda: xent.cross_entropy(x, target),
        "`xent.softmax` of a NumPy array, to `out`": lambda: xent.softmax(array, out=out),
        "`F.cross_entropy` and `backward`": forward_and_backward(F.cross_entropy, leaf, target),
        **{f"{peer.title}, the loss and its gradient": both for peer, (_, both) in compiled},
        "`xent.torch.cross_entropy` and `backward`": forward_and_backward(xent.torch.cross_entropy, leaf, target),
        "`xent.loss_and_grad` of NumPy arrays, to `out`": lambda: xent.loss_and_grad(array, labels, out=out),
    }
    return zip(calls, least(list(calls.values()), seconds))


def processor():
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor()


def name_of(shape):
    return " × ".join(f"{n:,}" for n in shape)


def text(seconds):
    """Microseconds; a dash for what was not measured."""
    if seconds is None:
        return "–"
    return f"{1e6 * seconds:.2f}" if seconds < 1e-5 else f"{1e6 * seconds:,.0f}"


def head(peers, threads):
    yield "# Benchmarks of the Python package\n"
    yield "Written by one command, of the installed package, PyTorch and JAX, in the same process:\n"
    yield "```text\nRAYON_NUM_THREADS=1 python bindings/python/benches/bench.py\n```\n"
    versions = f"NumPy {np.__version__}, PyTorch {torch.__version__.split('+')[0]}"
    versions += "".join(f", JAX {p.library.version}" for p in peers if p.library and p.title == "JAX")
    yield (
        f"{processor()}, {threads} thread{'s' if threads > 1 else ''} on as many processors, backend {xent.backend()}; Python "
        f"{platform.python_version()}, {versions}, xent {xent.__version__}. Microseconds of a call: the least of all, the functions taking "
        "turns. Shapes are rows × classes, or (N, C, d). The columns: `F.cross_entropy`, eager; the same by `torch.compile`; the loss in JAX's "
        "own functions by `jax.jit`; `xent.torch.cross_entropy`; and `xent` of NumPy arrays. Gradients of eager PyTorch and of `xent.torch` "
        "are those of `backward`; in both compilers loss and gradient are one function, their best case. The last two columns are the "
        "time of eager PyTorch, and of the fastest that is not xent, over that of `xent.torch`.\n"
    )


def tables(peers, seconds):
    rows = [(shape, measured(shape, peers, seconds)) for shape in SHAPES]
    titles = ["PyTorch", *(peer.title for peer in peers), "`xent.torch`", "`xent`"]
    for which, title in enumerate(("The loss", "The loss and its gradient")):
        yield f"## {title}\n"
        yield f"| shape | {' | '.join(titles)} | PyTorch ÷ `xent.torch` | fastest other ÷ `xent.torch` |"
        yield "|---|" + "---:|" * (len(titles) + 2)
        for shape, of_both in rows:
            *others, drop_in, _ = times = of_both[which]
            fastest = min(t for t in others if t is not None)
            ratios = f"{others[0] / drop_in:.2f} | {fastest / drop_in:.2f}"
            yield f"| {name_of(shape)} | {' | '.join(map(text, times))} | {ratios} |"
        yield ""


def of_ranks(results, processors):
    yield "## A vocabulary that ranks share\n"
    yield (
        "`xent.torch.vocab_parallel_cross_entropy` beside the three all-reduces of Megatron-LM, written in eager PyTorch "
        f"([sharded.py](benches/sharded.py)): over gloo, on processes of one thread each, which have {processors} processors of one machine. "
        "The least time of the slowest rank. Messages cost little in the memory of one machine; [docs/SCALING.md](../../docs/SCALING.md) "
        "says what they cost in a network. A rank gives so many bytes to all collectives together.\n"
    )
    yield (
        "| logits | ranks | loss: three all-reduces | `xent.torch` | ratio | loss and gradient: three all-reduces | `xent.torch` | ratio "
        "| collectives | bytes a row |"
    )
    yield "|---|" + "---:|" * 9
    for ranks, of_shapes in results.items():
        for shape, (theirs, ours) in zip(sharded.SHAPES, of_shapes):
            times = " | ".join(
                f"{text(theirs[key])} | {text(ours[key])} | {theirs[key] / ours[key]:.2f}" for key in ("loss", "both")
            )
            counts = " | ".join(f"{theirs[key]}, {ours[key]}" for key in ("collectives", "bytes"))
            yield f"| {name_of(shape)} | {ranks} | {times} | {counts} |"


def page(seconds, threads, processors):
    peers = [Peer("compiled", "torch_compiled", threads), Peer("JAX", "jax_jit", threads)]
    yield from head(peers, threads)
    yield from tables(peers, seconds)
    yield "## Overhead of a call\n"
    yield "One row of ten classes.\n"
    yield "| call | µs |\n|---|---:|"
    for name, time_of_call in overhead(peers, seconds):
        yield f"| {name} | {text(time_of_call)} |"
    yield ""
    # The ranks have all processors.
    os.sched_setaffinity(0, processors)
    yield from of_ranks({ranks: sharded.measured(ranks, seconds) for ranks in (2, 4)}, len(processors))
    problems = [f"- {peer.title}: {problem}" for peer in peers for problem in peer.problems]
    if problems:
        yield "\n## Not measured\n"
        yield from problems


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="less time for each shape, and print only, unless --out is given")
    parser.add_argument("--out", type=Path, help="the page, instead of the package's BENCHMARKS.md")
    arguments = parser.parse_args()
    processors = os.sched_getaffinity(0)
    threads = int(os.environ.get("RAYON_NUM_THREADS", 0)) or len(processors)
    # JAX has as many threads as the process has processors; the others have what they are told.
    os.sched_setaffinity(0, sorted(processors)[:threads])
    os.environ["TORCHINDUCTOR_COMPILE_THREADS"] = "1"
    torch.set_num_threads(threads)
    lines = []
    for line in page(0.5 if arguments.quick else 6.0, threads, processors):
        print(line, flush=True)
        lines.append(line)
    out = arguments.out or (None if arguments.quick else PAGE)
    if out:
        out.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
