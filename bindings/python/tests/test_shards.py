"""Vocabularies on several ranks of `torch.distributed` with gloo: one collective, and the bits of one process."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

if not torch.distributed.is_available() or not torch.distributed.is_gloo_available():
    pytest.skip("PyTorch is without gloo", allow_module_level=True)

PART = 16_384


def drawn(classes, rows=6):
    generator = torch.Generator().manual_seed(7)
    logits = torch.randn(rows, classes, generator=generator).mul_(3)
    target = torch.randint(classes, (rows,), generator=generator)
    target[1] = -100
    return logits, target


def rank(index, ranks, store):
    """One process: compares what it has of a loss and its gradient with those of all classes."""
    import xent.torch

    torch.distributed.init_process_group("gloo", init_method=f"file://{store}", rank=index, world_size=ranks)
    sent = []
    gather = torch.distributed.all_gather_into_tensor
    torch.distributed.all_gather_into_tensor = lambda to, own, **kw: sent.append(own.nbytes) or gather(to, own, **kw)
    for share, options in (
        (PART, {}),
        (PART, {"reduction": "none"}),
        (2 * PART, {"reduction": "sum"}),
        (100, {"label_smoothing": 0.1}),
    ):
        whole, target = drawn(share * ranks)
        whole.requires_grad_()
        logits = whole.detach()[:, index * share : (index + 1) * share].requires_grad_()
        sent.clear()
        loss = xent.torch.vocab_parallel_cross_entropy(logits, target, **options)
        assert sent == [32 * len(target) * (share // PART or 1)], "one collective, of 32 bytes a row"
        assert loss.grad_fn.merged.nbytes == 32 * len(target)
        expected = xent.torch.cross_entropy(whole, target, **options)
        upstream = torch.linspace(1.0, 2.0, loss.numel()).reshape(loss.shape)
        (gradient,) = torch.autograd.grad(loss, logits, upstream)
        (slope,) = torch.autograd.grad(expected, whole, upstream)
        slope = slope[:, index * share : (index + 1) * share]
        if share >= PART:
            assert torch.equal(loss, expected) and torch.equal(gradient, slope), "other bits"
        torch.testing.assert_close(loss, expected, rtol=5e-7, atol=0)
        torch.testing.assert_close(gradient, slope, rtol=1e-6, atol=1e-9)
    # Ranks of unequal numbers of classes, and rows of shape (2, 3).
    whole, target = drawn(50)
    first, last = (50 * i * i // ranks**2 for i in (index, index + 1))
    logits = whole[:, first:last].reshape(2, 3, -1)
    loss = xent.torch.vocab_parallel_cross_entropy(
        logits, target.reshape(2, 3), class_offset=first, total_classes=50, reduction="none"
    )
    expected = xent.torch.cross_entropy(whole, target, reduction="none")
    torch.testing.assert_close(loss.reshape(-1), expected, rtol=5e-7, atol=0)
    half = whole[:, first:last].bfloat16()
    loss = xent.torch.vocab_parallel_cross_entropy(half, target, class_offset=first, total_classes=50, reduction="none")
    expected = xent.torch.cross_entropy(whole.bfloat16(), target, reduction="none")
    torch.testing.assert_close(loss, expected, rtol=2**-7, atol=0)
    for bad, labels, said in (
        (logits.double(), target, "float32"),
        (logits.long(), target, "float32"),
        (half, torch.rand(half.shape), "expected integers"),
    ):
        try:
            xent.torch.vocab_parallel_cross_entropy(bad, labels)
            raise AssertionError("taken")
        except TypeError as error:
            assert said in str(error)
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()


@pytest.mark.parametrize("ranks", [1, 2, 4])
def test_ranks_have_the_bits_of_one_process(ranks, tmp_path):
    command = [sys.executable, __file__]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "RAYON_NUM_THREADS": "2"}
    arguments = [[str(index), str(ranks), str(tmp_path / "store")] for index in range(ranks)]
    processes = [
        subprocess.Popen([*command, *a], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) for a in arguments
    ]
    try:
        outputs = [process.communicate(timeout=240)[0].decode() for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert [process.returncode for process in processes] == [0] * ranks, "\n".join(outputs)


if __name__ == "__main__":
    rank(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
