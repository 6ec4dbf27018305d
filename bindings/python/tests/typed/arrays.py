"""Calls of `xent` as typed code makes them, for `mypy --strict`."""

import numpy as np
from numpy.typing import NDArray
from typing_extensions import assert_type

import xent

logits = np.zeros((2, 3), np.float32)
labels = np.array([0, 2])
buffer = memoryview(bytearray(24)).cast("f", (2, 3))
Floats = NDArray[np.float32]

assert_type(xent.backend(), str)
assert_type(xent.cross_entropy(logits, labels, label_smoothing=0.1), float)
assert_type(xent.cross_entropy(buffer, labels, reduction="none", axis=0), Floats)
assert_type(xent.loss_and_grad(logits, labels, out=logits), tuple[float, Floats])
assert_type(xent.loss_and_grad(logits, labels, reduction="none"), tuple[Floats, Floats])
assert_type(xent.softmax(logits, temperature=2.0), Floats)
assert_type(xent.token_logprobs(logits, labels, top_k=2).top_ids, NDArray[np.uint32] | None)
assert_type(xent.sequence_logprobs(logits, labels, np.array([0, 2])).is_greedy, NDArray[np.bool_])
assert_type(xent.linear_cross_entropy(logits, logits, labels, bias=labels, workspace=1 << 20), float)
assert_type(xent.linear_cross_entropy(logits, logits, labels, reduction="none"), Floats)
assert_type(xent.linear_loss_and_grads(logits, logits, labels)[1].bias, Floats | None)

# What is wrong is seen: strict mode refuses a comment that ignores nothing.
xent.cross_entropy(logits, labels, reduction="median")  # type: ignore[call-overload]
xent.softmax(logits, dim=-1)  # type: ignore[call-arg]
xent.linear_cross_entropy(logits, logits, labels, axis=0)  # type: ignore[call-overload]
