"""Threads, forks, and memory over many calls."""

import gc
import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

import xent

X = np.random.default_rng(0).normal(size=(64, 2000)).astype(np.float32)
LABELS = np.random.default_rng(1).integers(0, 2000, 64)


def test_importing_xent_imports_no_torch():
    code = "import sys, xent; assert not {'torch', 'jax'} & set(sys.modules), 'imported'"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_threads_have_the_same_bits():
    expected = xent.loss_and_grad(X, LABELS)
    found = []

    def call():
        for _ in range(20):
            loss, gradient = xent.loss_and_grad(X, LABELS)
            found.append(loss == expected[0] and np.array_equal(gradient, expected[1]))

    threads = [threading.Thread(target=call) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 160 and all(found)


def test_the_number_of_threads_changes_no_bit():
    code = (
        "import numpy as np, xent\n"
        "x = np.random.default_rng(0).normal(size=(64, 2000)).astype(np.float32)\n"
        "y = np.random.default_rng(1).integers(0, 2000, 64)\n"
        "print(hash(xent.loss_and_grad(x, y)[1].tobytes() + xent.softmax(x).tobytes()))"
    )
    environments = [{"RAYON_NUM_THREADS": n, "PYTHONHASHSEED": "0"} for n in ("1", "2", "5")]
    run = [sys.executable, "-c", code]
    hashes = {subprocess.check_output(run, env={**os.environ, **environment}) for environment in environments}
    assert len(hashes) == 1


def test_others_run_during_a_call():
    """The interpreter is free while a kernel runs: another thread counts, which it could not otherwise."""
    x, labels = np.zeros((2000, 20_000), np.float32), np.zeros(2000, np.int64)
    out = np.empty_like(x)
    counted, done = 0, threading.Event()

    def call():
        xent.loss_and_grad(x, labels, out=out)
        done.set()

    # Without this the interpreter would be handed over at every five milliseconds at the soonest.
    thread = threading.Thread(target=call)
    thread.start()
    while not done.is_set():
        counted += 1
        time.sleep(0.0005)
    thread.join()
    assert counted > 3


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning", "ignore:os.fork.*:RuntimeWarning")
def test_a_forked_process_has_threads_of_its_own():
    expected = xent.softmax(X).tobytes()  # this starts the pool
    child = os.fork()
    if child == 0:
        os._exit(0 if xent.softmax(X).tobytes() == expected else 1)
    deadline = time.monotonic() + 60
    while (status := os.waitpid(child, os.WNOHANG)) == (0, 0):
        if time.monotonic() > deadline:
            os.kill(child, 9)
            os.waitpid(child, 0)
            pytest.fail("the child waits for threads that it has not got")
        time.sleep(0.01)
    assert os.waitstatus_to_exitcode(status[1]) == 0


def resident():
    """Bytes of this process that are in memory."""
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="there is no /proc")
def test_many_calls_leave_nothing_behind():
    def calls(count):
        for _ in range(count):
            xent.cross_entropy(X, LABELS)
            _, gradient = xent.loss_and_grad(X, LABELS, out=np.empty_like(X))
            xent.softmax(X[:, ::-1])
            xent.softmax(memoryview(X))
            xent.token_logprobs(X, LABELS, top_k=5, entropy=True)
            with pytest.raises(ValueError):
                xent.cross_entropy(X, LABELS + 2000)
            with pytest.raises(TypeError):
                xent.cross_entropy(X.astype(np.float64), LABELS)
        gc.collect()

    references = sys.getrefcount(X), sys.getrefcount(LABELS)
    calls(30)
    before = resident()
    calls(300)
    assert (sys.getrefcount(X), sys.getrefcount(LABELS)) == references
    # One array of logits that stays behind in every call would be 150 MB.
    assert resident() - before < 8 << 20
