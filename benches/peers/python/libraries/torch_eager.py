"""PyTorch, eager: `cross_entropy` and autograd, losses reduced to their mean as in training."""

import numpy as np
import torch
import torch.nn.functional as F

from libraries import torch_linear, torch_tokens


class Library:
    version = torch.__version__

    def __init__(self, threads):
        torch.set_num_threads(threads)

    def load(self, logits, labels, distributions):
        x = torch.from_numpy(logits)
        y = torch.from_numpy(labels.astype(np.int64))
        t = torch.from_numpy(distributions)
        self.operations = self.functions(x, y, t)

    def load_linear(self, x, w, b, labels):
        x, w, b = (None if values is None else torch.from_numpy(values) for values in (x, w, b))
        self.operations = torch_linear.Operations(x, w, b, torch.from_numpy(labels.astype(np.int64)))

    def functions(self, x, y, t):
        variable = x.clone().requires_grad_()

        def with_gradient(target):
            loss = F.cross_entropy(variable, target)
            return loss.detach(), *torch.autograd.grad(loss, variable)

        return {
            "softmax": lambda: torch.softmax(x, 1),
            "log_softmax": lambda: torch.log_softmax(x, 1),
            "sparse_loss": lambda: F.cross_entropy(x, y),
            "sparse_loss_and_gradient": lambda: with_gradient(y),
            "dense_loss_and_gradient": lambda: with_gradient(t),
            "tokens_20": lambda: torch_tokens.read(x, y, 20),
            "tokens_1": lambda: torch_tokens.read(x, y, 1),
        }

    @staticmethod
    def to_numpy(result):
        return result.numpy()
