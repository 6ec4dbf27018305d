"""Softmax cross-entropy with logits on CPUs: exact at the edges, as fast as memory, the same bits everywhere.

Arrays are of NumPy, of PyTorch and JAX on the CPU, or of anything else with DLPack or the buffer protocol; results are NumPy's, or
written to an array that is given as ``out``. ``xent.torch`` has the drop-ins for PyTorch.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypedDict, overload

import numpy as np
from numpy.typing import NDArray

from xent import _core
from xent._core import (
    __version__,
    backend,
    cross_entropy,
    log_softmax,
    logsumexp,
    loss_and_grad,
    softmax,
)

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from xent._core import _Array

    class _LinearOptions(TypedDict, total=False):
        bias: _Array | None
        weight: _Array | None
        ignore_index: int
        label_smoothing: float
        z_loss: float
        soft_cap: float | None
        temperature: float
        workspace: int


__all__ = [
    "LinearGrads",
    "SequenceLogProbs",
    "TokenLogProbs",
    "__version__",
    "backend",
    "cross_entropy",
    "linear_cross_entropy",
    "linear_loss_and_grads",
    "log_softmax",
    "logsumexp",
    "loss_and_grad",
    "sequence_logprobs",
    "softmax",
    "token_logprobs",
]

# A forked process has the pool's memory and none of its threads: it makes a pool of its own.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_core.after_fork)


class TokenLogProbs(NamedTuple):
    """What `token_logprobs` gives: arrays of the logits' shape without the classes, ``None`` for what was not asked for."""

    logprobs: NDArray[np.float32] | None
    """Of the chosen tokens."""
    above: NDArray[np.uint32] | None
    """How many logits are above that of the chosen token: its rank is one more."""
    equal: NDArray[np.uint32] | None
    """How many logits equal it, itself among them: ``above + equal`` is the rank as vLLM counts it."""
    top_ids: NDArray[np.uint32] | None
    """The most probable tokens in falling order; 4294967295 after all that can occur."""
    top_logprobs: NDArray[np.float32] | None
    named: NDArray[np.float32] | None
    """Log-probabilities of `token_ids`."""
    entropy: NDArray[np.float32] | None
    """In nats."""


class SequenceLogProbs(NamedTuple):
    """What `sequence_logprobs` gives, one value for each sequence."""

    sum: NDArray[np.float64]
    """The sum of the log-probabilities of its tokens, in nats and f64."""
    tokens: NDArray[np.int64]
    """How many tokens were scored."""
    is_greedy: NDArray[np.bool_]
    """Whether each of them is the argmax of its row."""


class LinearGrads(NamedTuple):
    """The gradients of a linear classifier's loss."""

    x: NDArray[np.float32]
    weights: NDArray[np.float32]
    bias: NDArray[np.float32] | None


def token_logprobs(
    logits: _Array,
    tokens: _Array | None = None,
    *,
    top_k: int = 0,
    token_ids: _Array | None = None,
    entropy: bool = False,
    temperature: float | _Array = 1.0,
    soft_cap: float | None = None,
    ignore_index: int | None = None,
) -> TokenLogProbs:
    """Log-probabilities of tokens from one read of each row of logits (..., classes).

    `tokens` (...) are the chosen ones, `token_ids` those that are asked for in every row, (n,), or in each, (..., n). A
    temperature is one number, or an array (...) of one for each row. Rows whose token is `ignore_index` are not read.
    """
    return TokenLogProbs(
        *_core.token_logprobs(logits, tokens, top_k, token_ids, entropy, temperature, soft_cap, ignore_index)
    )


def sequence_logprobs(
    logits: _Array,
    tokens: _Array,
    offsets: _Array,
    *,
    next_token: bool = False,
    temperature: float = 1.0,
    soft_cap: float | None = None,
    ignore_index: int | None = None,
) -> SequenceLogProbs:
    """The log-probability of each sequence of a batch: sequence ``i`` is the rows from ``offsets[i]`` up to ``offsets[i + 1]``.

    Row ``r`` is scored against ``tokens[r]``, with `next_token` against ``tokens[r + 1]``: logits as a causal model gives them.
    """
    return SequenceLogProbs(
        *_core.sequence_logprobs(logits, tokens, offsets, next_token, temperature, soft_cap, ignore_index)
    )


@overload
def linear_cross_entropy(
    x: _Array, weights: _Array, labels: _Array, *, reduction: Literal["sum", "mean"] = "mean", **options: Unpack[_LinearOptions]
) -> float: ...
@overload
def linear_cross_entropy(
    x: _Array, weights: _Array, labels: _Array, *, reduction: Literal["none"], **options: Unpack[_LinearOptions]
) -> NDArray[np.float32]: ...
def linear_cross_entropy(x: _Array, weights: _Array, labels: _Array, **options: Any) -> float | NDArray[np.float32]:
    """The loss of the logits ``x @ weights.T + bias``, which are never stored as a whole.

    `x` is (..., features), `weights` (classes, features), and options are `bias`, those of `cross_entropy` but for `axis` and
    `out`, and `workspace`, the bytes that a call may take.
    """
    loss: float | NDArray[np.float32] = _core.linear_cross_entropy(x, weights, labels, **options)[0]
    return loss


@overload
def linear_loss_and_grads(
    x: _Array, weights: _Array, labels: _Array, *, reduction: Literal["sum", "mean"] = "mean", **options: Unpack[_LinearOptions]
) -> tuple[float, LinearGrads]: ...
@overload
def linear_loss_and_grads(
    x: _Array, weights: _Array, labels: _Array, *, reduction: Literal["none"], **options: Unpack[_LinearOptions]
) -> tuple[NDArray[np.float32], LinearGrads]: ...
def linear_loss_and_grads(
    x: _Array, weights: _Array, labels: _Array, **options: Any
) -> tuple[float | NDArray[np.float32], LinearGrads]:
    """As `linear_cross_entropy`, with the gradients of the features, the weights and the bias."""
    loss, grads = _core.linear_cross_entropy(x, weights, labels, gradients=True, **options)
    return loss, LinearGrads(*grads)
