"""The loss of a vocabulary that processes share, by `xent.torch` and by the three all-reduces of Megatron-LM, over gloo.

`measured` starts the ranks, which are this file as a script: `sharded.py RANK RANKS STORE SECONDS`. The first prints the results.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
import torch.distributed

import xent.torch

SHAPES = [(64, 128_256), (1024, 32_000)]


class ThreeReductions(torch.autograd.Function):
    """The mean loss as in Shoeybi et al., "Megatron-LM" (2019), section 3: of the largest logit, the label's logit and the sum. Its
    terms are divided by the sum in the backward pass, together with the mean, which saves it one pass over the logits."""

    @staticmethod
    def forward(ctx, logits, target, first):
        largest = logits.amax(1)
        torch.distributed.all_reduce(largest, torch.distributed.ReduceOp.MAX)
        terms = logits - largest[:, None]
        local = target - first
        is_here = (local >= 0) & (local < logits.shape[1])
        local = local.where(is_here, 0)[:, None]
        chosen = terms.gather(1, local)[:, 0].where(is_here, 0.0)
        torch.distributed.all_reduce(chosen)
        total = terms.exp_().sum(1)
        torch.distributed.all_reduce(total)
        ctx.save_for_backward(terms, total, local, is_here)
        return (total.log() - chosen).mean()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, upstream):
        terms, total, local, is_here = ctx.saved_tensors
        share = upstream / len(total)
        # Over what was saved, as Megatron-LM does.
        gradient = terms.mul_((share / total)[:, None])
        return gradient.scatter_add_(1, local, (-share * is_here)[:, None]), None, None


def collectives_of(function):
    """How many collectives a call takes, and the bytes that this rank gives them."""
    given = []

    def counted(collective, position):
        def call(*tensors, **options):
            given.append(tensors[position].nbytes)
            return collective(*tensors, **options)

        return call

    # What is given comes last where there is a tensor for the result.
    positions = {"all_reduce": 0, "all_gather_into_tensor": 1}
    before = {name: getattr(torch.distributed, name) for name in positions}
    for name, position in positions.items():
        setattr(torch.distributed, name, counted(before[name], position))
    try:
        function()
    finally:
        for name, collective in before.items():
            setattr(torch.distributed, name, collective)
    return len(given), sum(given)


def least(functions, seconds):
    """The least time of a call of each function, of the slowest rank: they take turns until so much time has gone by on all of them."""
    best, spent = [float("inf")] * len(functions), 0.0
    while spent < seconds:
        for i, function in enumerate(functions):
            torch.distributed.barrier()
            start = time.perf_counter()
            function()
            slowest = torch.tensor(time.perf_counter() - start, dtype=torch.float64)
            torch.distributed.all_reduce(slowest, torch.distributed.ReduceOp.MAX)
            best[i] = min(best[i], slowest.item())
            spent += slowest.item()
    return best


def of_shape(rows, classes, rank, ranks, seconds):
    """Times, collectives and bytes of a row: of the all-reduces, then of xent."""
    share = classes // ranks
    generator = torch.Generator().manual_seed(rank)
    logits = torch.randn(rows, share, generator=generator) * 3
    target = torch.randint(classes, (rows,), generator=torch.Generator().manual_seed(0))
    leaf = logits.clone().requires_grad_()

    def backward(function):
        def call():
            leaf.grad = None
            function(leaf).backward()

        return call

    losses = [
        lambda x: ThreeReductions.apply(x, target, rank * share),
        lambda x: xent.torch.vocab_parallel_cross_entropy(x, target),
    ]
    gradients = []
    for function in losses:
        backward(function)()
        gradients.append(leaf.grad)
    torch.testing.assert_close(losses[0](logits), losses[1](logits), rtol=1e-5, atol=0)
    torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-8)
    calls = [call for f in losses for call in (lambda f=f: f(logits), backward(f))]
    times = least(calls, seconds)
    results = []
    for i in range(2):
        collectives, given = collectives_of(calls[2 * i + 1])
        results.append({"loss": times[2 * i], "both": times[2 * i + 1], "collectives": collectives, "bytes": given // rows})
    return results


def measured(ranks, seconds):
    """The results of `of_shape` for each shape, on so many processes of one thread each."""
    environment = {**os.environ, "RAYON_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    with tempfile.TemporaryDirectory() as folder:
        of_all = [str(ranks), f"{folder}/store", str(seconds)]
        processes = [
            subprocess.Popen([sys.executable, __file__, str(rank), *of_all], env=environment, stdout=subprocess.PIPE)
            for rank in range(ranks)
        ]
        try:
            said = [process.communicate(timeout=240)[0] for process in processes]
        finally:
            for process in processes:
                process.kill()
    if any(process.returncode for process in processes):
        sys.exit(f"{ranks} ranks: one has failed")
    return json.loads(said[0])


def main():
    rank, ranks, store, seconds = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]), float(sys.argv[4])
    torch.distributed.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=ranks)
    results = [of_shape(*shape, rank, ranks, seconds) for shape in SHAPES]
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()
    if rank == 0:
        print(json.dumps(results))


if __name__ == "__main__":
    main()
