"""Calls of `xent.torch` as typed code makes them, for `mypy --strict`."""

import torch
from typing_extensions import assert_type

import xent.torch

x, target = torch.zeros(2, 3), torch.tensor([0, 2])

assert_type(xent.torch.cross_entropy(x, target, ignore_index=-1, reduction="sum"), torch.Tensor)
assert_type(xent.torch.linear_cross_entropy(x, x, target, linear_bias=None), torch.Tensor)
assert_type(xent.torch.vocab_parallel_cross_entropy(x, target, class_offset=0, total_classes=3), torch.Tensor)
with xent.torch.patch():
    torch.nn.CrossEntropyLoss()(x, target)


@xent.torch.patch()
def decorated() -> int:
    return 0


assert_type(decorated(), int)

xent.torch.cross_entropy(x, target, smoothing=0.1)  # type: ignore[call-arg]
