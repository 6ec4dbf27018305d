"""What type checkers are told of the package, and what it is."""

import inspect
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import xent

TYPED = Path(__file__).parent / "typed"


def checked(module, *arguments):
    """Fails if mypy, or a tool of its, finds anything."""
    pytest.importorskip("mypy", reason="mypy is not installed")
    command = [sys.executable, "-m", module, *map(str, arguments)]
    run = subprocess.run(command, cwd=TYPED, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert run.returncode == 0, run.stdout


def test_the_stub_is_that_of_the_module():
    checked("mypy.stubtest", "xent._core")


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("mypy")


def test_the_package_agrees_with_itself(cache):
    checked("mypy", "--strict", "--cache-dir", cache, "-m", "xent")


@pytest.mark.parametrize(("file", "of"), [("arrays.py", "numpy"), ("tensors.py", "torch")])
def test_typed_code(file, of, cache):
    pytest.importorskip(of, reason=f"{of} is not installed")
    checked("mypy", "--strict", "--cache-dir", cache, file)


def test_defaults_are_what_signatures_say():
    """They are said twice in Rust, where one is negative."""
    x = np.random.default_rng(0).normal(size=(4, 5)).astype(np.float32)
    labels = np.array([3, -100, 0, 4])
    for function, arguments in (
        (xent.softmax, (x,)),
        (xent.log_softmax, (x,)),
        (xent.logsumexp, (x,)),
        (xent.cross_entropy, (x, labels)),
        (xent.loss_and_grad, (x, labels)),
        (xent.linear_cross_entropy, (x, x, np.array([3, -100, 0, 1]))),
    ):
        of = xent._core.linear_cross_entropy if function is xent.linear_cross_entropy else function
        said = {p.name: p.default for p in inspect.signature(of).parameters.values() if p.default is not p.empty}
        said.pop("gradients", None)
        assert said and ... not in said.values()
        np.testing.assert_equal(function(*arguments, **said), function(*arguments))
