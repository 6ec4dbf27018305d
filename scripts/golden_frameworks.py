#!/usr/bin/env python3
r"""Recomputes tests/golden/frameworks.safetensors with the frameworks themselves.

The inputs and the attributes of each case are those in the file; the outputs are computed anew, in float64 and by
the framework that the case names, and rounded to float32 once. Says which cases changed, and writes the file.

    python3 -m venv golden && golden/bin/pip install jax==0.10.2 keras==3.15.1 mpmath numpy \
        optax==0.2.8 safetensors tensorflow-cpu==2.21.0 torch==2.15.0
    golden/bin/python scripts/golden_frameworks.py          # compares
    golden/bin/python scripts/golden_frameworks.py --write  # and writes
"""

import argparse
import json
import os
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import jax

jax.config.update("jax_enable_x64", True)

import jax.numpy as jnp
import keras
import mpmath
import numpy as np
import optax
import tensorflow as tf
import torch
import torch.nn.functional as F
from safetensors import safe_open
from safetensors.numpy import save_file

keras.backend.set_floatx("float64")

PATH = Path(__file__).resolve().parent.parent / "tests" / "golden" / "frameworks.safetensors"
BAD_LABEL = "label_out_of_range"


def wide(tensors, name):
    """A tensor in float64, or None."""
    value = tensors.get(name)
    return None if value is None else np.asarray(value, dtype=np.float64)


def with_torch(case, tensors):
    """Cases of PyTorch, and the formula of CS231n."""

    def double(name, gradient=False):
        value = wide(tensors, name)
        return None if value is None else torch.tensor(value, requires_grad=gradient)

    x, labels = double("input", True), None
    if "labels" in tensors:
        labels = torch.tensor(tensors["labels"].astype(np.int64))
    dense, target, reduction = double("dense_labels", True), double("target"), case.get("reduction")
    weight, op = double("weight"), case["op"]
    smoothing = case.get("label_smoothing", 0.0)
    # PyTorch has the classes on axis 1 (0 for a single row), as all of its cases do.
    if op == "cross_entropy":
        ignored = case["ignore_index"] if case["ignore_index"] is not None else -(10**9)
        y = F.cross_entropy(
            x, labels, weight=weight, ignore_index=ignored, reduction=reduction, label_smoothing=smoothing
        )
    elif op == "cross_entropy_dense":
        y = F.cross_entropy(x, dense, weight=weight, reduction=reduction, label_smoothing=smoothing)
    elif op == "softmax":
        y = F.softmax(x, dim=case["axis"])
    elif op == "log_softmax":
        y = F.log_softmax(x, dim=case["axis"])
    elif op == "logsumexp":
        axes = case["axes"] or list(range(x.dim()))
        y = torch.logsumexp(x, dim=axes, keepdim=case["keepdims"])
    elif op == "bce_with_logits":
        y = F.binary_cross_entropy_with_logits(
            x, target, weight=weight, pos_weight=double("pos_weight"), reduction=reduction
        )
    elif op == "multi_margin":
        y = F.multi_margin_loss(x, labels, p=case["p"], margin=case["margin"], weight=weight, reduction=reduction)
    elif op == "svm_hinge":
        rows = torch.arange(len(labels))
        over = (x - x[rows, labels][:, None] + case["margin"]).clamp(min=0)
        over = over * (1 - F.one_hot(labels, x.shape[1]))
        y = over.sum(dim=1)
        y = y if reduction == "none" else y.mean()
    elif op == "kl_div":
        y = F.kl_div(x, target, reduction=reduction, log_target=case["log_target"])
    else:
        raise NotImplementedError(op)
    upstream = double("grad_out")
    y.backward(torch.ones_like(y) if upstream is None else upstream.reshape(y.shape))
    results = {"loss": y, "output": y, "grad_input": x.grad}
    if dense is not None:
        results["grad_labels"] = dense.grad
    return {name: value.detach().numpy() for name, value in results.items()}


def with_tensorflow(case, tensors):
    """Cases of TensorFlow and of Keras on it."""
    x = tf.Variable(wide(tensors, "input"))
    labels = tensors.get("labels")
    dense = None if "dense_labels" not in tensors else tf.Variable(wide(tensors, "dense_labels"))
    target, reduction, source = wide(tensors, "target"), case.get("reduction"), case["source"]
    with tf.GradientTape() as tape:
        if "sigmoid_cross_entropy" in source:
            y = tf.nn.sigmoid_cross_entropy_with_logits(labels=target, logits=x)
        elif "weighted_cross_entropy" in source:
            y = tf.nn.weighted_cross_entropy_with_logits(target, x, wide(tensors, "pos_weight"))
        elif "sparse_softmax" in source:
            try:
                y = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=x)
            except tf.errors.InvalidArgumentError:
                assert case.get("expect_error") == BAD_LABEL, case["name"]
                return {}
            assert "expect_error" not in case, case["name"]
        elif "softmax_cross_entropy" in source:
            y = tf.nn.softmax_cross_entropy_with_logits(labels=dense, logits=x, axis=case["axis"])
        elif "losses.categorical" in source:
            logits, smoothing = "from_logits=True" in source, case["label_smoothing"]
            y = keras.losses.categorical_crossentropy(dense, x, from_logits=logits, label_smoothing=smoothing)
        elif "losses.sparse" in source:
            logits, ignored = "from_logits=True" in source, case.get("ignore_index")
            y = keras.losses.sparse_categorical_crossentropy(labels, x, from_logits=logits, ignore_class=ignored)
        else:
            loss = keras.losses.SparseCategoricalCrossentropy(
                from_logits=True, reduction=source.split("reduction=")[1].split(")")[0], dtype="float64"
            )
            y = loss(labels, x, sample_weight=wide(tensors, "row_weight"))
        if y.shape.rank:
            y = {"sum": tf.reduce_sum, "mean": tf.reduce_mean}.get(reduction, tf.identity)(y)
        upstream = wide(tensors, "grad_out")
        whole = tf.reduce_sum(y if upstream is None else y * upstream.reshape(y.shape))
    of_x, of_labels = tape.gradient(whole, [x, dense if dense is not None else x])
    return {"loss": y.numpy(), "grad_input": of_x.numpy(), "grad_labels": of_labels.numpy()}


def with_optax(case, tensors):
    """Cases of Optax."""
    labels, mask = tensors.get("labels"), tensors.get("class_mask")
    where = {} if mask is None else {"where": jnp.asarray(mask).astype(bool)}
    axes = case.get("axes") or case.get("axis", -1)
    axes = tuple(axes) if isinstance(axes, list) else axes
    dense, target, op, source = wide(tensors, "dense_labels"), wide(tensors, "target"), case["op"], case["source"]

    def loss(x, dense):
        if "integer_labels" in source:
            return optax.losses.softmax_cross_entropy_with_integer_labels(x, labels, axis=axes, **where)
        if "safe_softmax" in source:
            return optax.losses.safe_softmax_cross_entropy(x, dense)
        if op == "cross_entropy_dense":
            smooth = optax.losses.smooth_labels(dense, case["label_smoothing"]) if case["label_smoothing"] else dense
            return optax.losses.softmax_cross_entropy(x, smooth, axis=axes, **where)
        if op == "poly1_cross_entropy":
            return optax.losses.poly_loss_cross_entropy(x, dense, epsilon=case["epsilon"])
        if op == "sigmoid_focal":
            return optax.losses.sigmoid_focal_loss(x, target, alpha=case["alpha"], gamma=case["gamma"])
        if op == "multiclass_hinge_max":
            return optax.losses.multiclass_hinge_loss(x, labels)
        if "log_targets" in source:
            return optax.losses.kl_divergence_with_log_targets(x, target)
        return optax.losses.kl_divergence(x, target)

    x = jnp.asarray(wide(tensors, "input"))
    dense = x if dense is None else jnp.asarray(dense)
    y, back = jax.vjp(loss, x, dense)
    upstream = wide(tensors, "grad_out")
    of_x, of_labels = back(jnp.ones_like(y) if upstream is None else jnp.asarray(upstream.reshape(y.shape)))
    return {"loss": np.asarray(y), "grad_input": np.asarray(of_x), "grad_labels": np.asarray(of_labels)}


def with_mpmath(case, tensors):
    """Binary cross-entropy in 50 digits."""
    mpmath.mp.dps = 50
    losses, gradient = [], []
    for x, t in zip(wide(tensors, "input"), wide(tensors, "target")):
        x, t = mpmath.mpf(float(x)), mpmath.mpf(float(t))
        losses.append(t * mpmath.log1p(mpmath.exp(-x)) + (1 - t) * mpmath.log1p(mpmath.exp(x)))
        gradient.append((1 - t) / (1 + mpmath.exp(-x)) - t / (1 + mpmath.exp(x)))
    as_float = lambda values: np.array([float(value) for value in values])
    return {"loss": as_float(losses), "grad_input": as_float(gradient)}


def framework(source):
    """Who computes a case."""
    for names, compute in [
        (("PyTorch", "CS231n"), with_torch),
        (("TensorFlow", "Keras"), with_tensorflow),
        (("Optax",), with_optax),
        (("mpmath",), with_mpmath),
    ]:
        if source.startswith(names):
            return compute
    raise NotImplementedError(source)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="write the file")
    arguments = parser.parse_args()
    with safe_open(PATH, framework="np") as file:
        metadata = file.metadata()
        tensors = {name: file.get_tensor(name) for name in file.keys()}
    changed = []
    cases = json.loads(metadata["cases"])
    for case in cases:
        own = {name: tensors[f"{case['name']}/{name}"] for name in case["inputs"]}
        results = framework(case["source"])(case, own)
        for output in case["outputs"]:
            name = f"{case['name']}/{output}"
            value = np.asarray(results[output], dtype=np.float64).astype(np.float32).reshape(tensors[name].shape)
            if not np.array_equal(value, tensors[name], equal_nan=True):
                distance = np.nanmax(np.abs(value.astype(np.float64) - tensors[name].astype(np.float64)))
                changed.append(f"{name}: by up to {distance:.3g}")
            tensors[name] = value
    print(f"{len(cases)} cases; {len(changed)} tensors changed")
    for line in changed:
        print(f"  {line}")
    if arguments.write:
        save_file(tensors, PATH, metadata=metadata)
        print(f"wrote {PATH}")


if __name__ == "__main__":
    main()
