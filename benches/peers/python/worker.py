"""`worker.py LIBRARY THREADS`: a Python library behind the line protocol that src/bin/worker/main.rs describes."""

import gc
import importlib
import os
import sys
import time
from pathlib import Path

import numpy as np


def read_inputs(shape, folder):
    """Classes are axis 1 of two, or of three."""
    folder = Path(folder)
    shape = tuple(map(int, shape.split("x")))
    return (
        np.fromfile(folder / "logits.f32", np.float32).reshape(shape),
        np.fromfile(folder / "labels.u32", np.uint32).reshape(shape[:1] + shape[2:]),
        np.fromfile(folder / "distributions.f32", np.float32).reshape(shape),
    )


def read_linear(size, folder):
    """Features, weights, bias or None, and labels of a linear classifier."""
    folder = Path(folder)
    rows, classes, features = map(int, size.split("x"))
    bias = np.fromfile(folder / "bias.f32", np.float32)
    return (
        np.fromfile(folder / "x.f32", np.float32).reshape(rows, features),
        np.fromfile(folder / "weights.f32", np.float32).reshape(classes, features),
        bias if bias.size else None,
        np.fromfile(folder / "labels.u32", np.uint32),
    )


def find(library, name):
    """A call of the operation; None where the library does not offer it."""
    if library.operations is None:
        raise ValueError("nothing is loaded")
    return library.operations.get(name)


SAMPLE = 4_000_000


def sample(values):
    """As in src/files.rs: long results are checked by every so many of their values."""
    return values.reshape(-1)[:: -(-values.size // SAMPLE) | 1]


def check(library, name, folder):
    """Writes the results of one call."""
    operation = find(library, name)
    if operation is None:
        return "none"
    results = operation()
    results = results if isinstance(results, (tuple, list)) else [results]
    for index, result in enumerate(results):
        values = sample(library.to_numpy(result)).astype(np.float32)
        values.tofile(Path(folder) / f"result{index}.f32")
    return f"ok {len(results)}"


def measure(library, name, calls):
    """Seconds for so many calls."""
    operation = find(library, name)
    if operation is None:
        return "none"
    # Not timed: another process had the caches, and its threads may still spin.
    for _ in range(calls // 8):
        operation()
    start = time.perf_counter()
    for _ in range(calls):
        operation()
    return f"ok {time.perf_counter() - start!r}"


def resident(name):
    """A line of this process's status, in bytes."""
    with open("/proc/self/status") as status:
        line = next(line for line in status if line.startswith(name))
    return int(line.split()[1]) * 1024


def memory(library, name):
    """How many bytes of memory are in use at most during a call, beyond those before it."""
    operation = find(library, name)
    if operation is None:
        return "none"
    gc.collect()
    # Libraries free what they no longer need on threads of their own.
    time.sleep(0.1)
    # The most so far begins anew.
    Path("/proc/self/clear_refs").write_text("5")
    before = resident("VmRSS")
    results = operation()
    raised = resident("VmHWM") - before
    del results
    return f"ok {max(raised, 0)}"


def answer(library, line):
    match line.split():
        case ["load", *inputs]:
            library.operations = None
            library.load(*read_inputs(*inputs))
        case ["load_linear", *inputs]:
            library.operations = None
            if getattr(library, "load_linear", None) is None:
                return "none"
            library.load_linear(*read_linear(*inputs))
        case ["unload"]:
            library.operations = None
        case ["check", name, folder]:
            return check(library, name, folder)
        case ["time", name, calls]:
            return measure(library, name, int(calls))
        case ["memory", name]:
            return memory(library, name)
        case _:
            raise ValueError(f"not a request: {line}")
    return "ok"


def main():
    # The libraries print what they like; the protocol keeps the pipe to itself.
    pipe = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    name, threads = sys.argv[1:]
    library = importlib.import_module(f"libraries.{name}").Library(int(threads))
    library.operations = None
    print("ready", library.version, file=pipe)
    for line in sys.stdin:
        try:
            reply = answer(library, line)
        except Exception as error:  # whatever a library raises is its answer
            reply = f"error: {type(error).__name__}: {error}".replace("\n", " ")[:500]
        print(reply, file=pipe)


if __name__ == "__main__":
    main()
