"""PyTorch's losses of a linear classifier: composed, and `linear_cross_entropy`, which takes its rows in chunks."""

import torch
import torch.nn.functional as F


def composed(x, w, y, b):
    return F.cross_entropy(F.linear(x, w, b), y)


def find(name):
    """The loss of this name: `composed`, `chunked`, or `chunks_` and how many rows a chunk has."""
    if name == "composed":
        return composed
    if not hasattr(F, "linear_cross_entropy"):
        return None
    # Its default is no options, which composes. Those that are made without arguments choose the chunks themselves.
    size = name.removeprefix("chunks_")
    options = torch.nn.LinearCrossEntropyOptions(batch_chunk_size=None if name == "chunked" else int(size))
    return lambda x, w, y, b: F.linear_cross_entropy(x, w, y, linear_bias=b, options=options)


class Operations:
    """`forward` and `gradients`, both with `:` and the name of a loss."""

    def __init__(self, x, w, b, y):
        self.inputs = x, w, y, b
        self.variables = [values.clone().requires_grad_() for values in (x, w, b) if values is not None]

    def get(self, name):
        way, loss = name.split(":")
        loss = find(loss)
        if loss is None:
            return None
        return lambda: loss(*self.inputs) if way == "forward" else self.gradients(loss)

    def gradients(self, loss):
        x, w, *b = self.variables
        mean = loss(x, w, self.inputs[2], b[0] if b else None)
        return mean.detach(), *torch.autograd.grad(mean, self.variables)
