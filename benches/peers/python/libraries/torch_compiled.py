"""PyTorch, compiled: loss and gradient traced as one graph, which is the best case for its compiler."""

import shutil

import torch
import torch.nn.functional as F

from libraries import torch_eager

if not any(map(shutil.which, ("g++", "clang++"))):
    raise ImportError("torch.compile needs a C++ compiler")


class Library(torch_eager.Library):
    # What it inherits is not compiled.
    load_linear = None

    def functions(self, x, y, t):
        # Each shape anew, as a constant.
        torch._dynamo.reset()

        def compiled(function, *inputs):
            run = torch.compile(function, dynamic=False, fullgraph=True)
            return lambda: run(*inputs)

        def gradient_first(*inputs):
            gradient, loss = torch.func.grad_and_value(F.cross_entropy)(*inputs)
            return loss, gradient

        return {
            "softmax": compiled(lambda x: torch.softmax(x, 1), x),
            "log_softmax": compiled(lambda x: torch.log_softmax(x, 1), x),
            "sparse_loss": compiled(F.cross_entropy, x, y),
            "sparse_loss_and_gradient": compiled(gradient_first, x, y),
            "dense_loss_and_gradient": compiled(gradient_first, x, t),
        }
