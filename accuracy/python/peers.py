"""Computes with another library what the lines of a file ask for, and prints the library's version.

    python3 -m venv .venv && .venv/bin/pip install numpy torch tensorflow-cpu
    .venv/bin/python peers.py torch|tensorflow plan.tsv

A line is a folder with logits, labels and distributions, and the name of an operation; its result goes to that folder.
"""

import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np


class Torch:
    def __init__(self):
        import torch

        self.torch = torch
        self.version = torch.__version__

    def compute(self, operation, x, y, t):
        torch, F = self.torch, self.torch.nn.functional
        x, y, t = map(torch.from_numpy, (x, y, t))

        def gradient(target):
            variable = x.clone().requires_grad_()
            loss = F.cross_entropy(variable, target, reduction="sum")
            return torch.autograd.grad(loss, variable)[0]

        return {
            "log_sum_exp": lambda: torch.logsumexp(x, 1),
            "softmax": lambda: torch.softmax(x, 1),
            "log_softmax": lambda: torch.log_softmax(x, 1),
            "sparse_loss": lambda: F.cross_entropy(x, y, reduction="none"),
            "dense_loss": lambda: F.cross_entropy(x, t, reduction="none"),
            "sparse_gradient": lambda: gradient(y),
            "dense_gradient": lambda: gradient(t),
        }[operation]().numpy()


class TensorFlow:
    def __init__(self):
        import tensorflow as tf

        self.tf = tf
        self.version = tf.__version__

    def compute(self, operation, x, y, t):
        tf, ops = self.tf, self.tf.raw_ops
        x, y, t = map(tf.constant, (x, y, t))

        def sparse():
            return ops.SparseSoftmaxCrossEntropyWithLogits(features=x, labels=y)

        def dense():
            return ops.SoftmaxCrossEntropyWithLogits(features=x, labels=t)

        return {
            "log_sum_exp": lambda: tf.reduce_logsumexp(x, 1),
            "softmax": lambda: ops.Softmax(logits=x),
            "log_softmax": lambda: ops.LogSoftmax(logits=x),
            "sparse_loss": lambda: sparse()[0],
            "dense_loss": lambda: dense()[0],
            "sparse_gradient": lambda: sparse()[1],
            "dense_gradient": lambda: dense()[1],
        }[operation]().numpy()


def main():
    library = {"torch": Torch, "tensorflow": TensorFlow}[sys.argv[1]]()
    for line in Path(sys.argv[2]).read_text().splitlines():
        folder, operation = line.split("\t")
        folder = Path(folder)
        inputs = [np.load(folder / f"{name}.npy") for name in ("logits", "labels", "distributions")]
        np.save(folder / f"{sys.argv[1]}-{operation}.npy", library.compute(operation, *inputs))
    print(library.version)


main()
