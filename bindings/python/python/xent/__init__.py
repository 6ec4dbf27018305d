"""Softmax cross-entropy with logits on CPUs: exact at the edges, as fast as memory, the same bits everywhere.

Arrays are of NumPy, of PyTorch and JAX on the CPU, or of anything else with DLPack or the buffer protocol; results are NumPy's, or
written to an array that is given as ``out``. ``xent.torch`` has the drop-ins for PyTorch.
"""

import os
from typing import NamedTuple

import numpy as np

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

    logprobs: np.ndarray | None
    """Of the chosen tokens."""
    above: np.ndarray | None
    """How many logits are above that of the chosen token: its rank is one more."""
    equal: np.ndarray | None
    """How many logits equal it, itself among them: ``above + equal`` is the rank as vLLM counts it."""
    top_ids: np.ndarray | None
    """The most probable tokens in falling order; 4294967295 after all that can occur."""
    top_logprobs: np.ndarray | None
    named: np.ndarray | None
    """Log-probabilities of `token_ids`."""
    entropy: np.ndarray | None
    """In nats."""


class SequenceLogProbs(NamedTuple):
    """What `sequence_logprobs` gives, one value for each sequence."""

    sum: np.ndarray
    """The sum of the log-probabilities of its tokens, in nats and f64."""
    tokens: np.ndarray
    """How many tokens were scored."""
    is_greedy: np.ndarray
    """Whether each of them is the argmax of its row."""


class LinearGrads(NamedTuple):
    """The gradients of a linear classifier's loss."""

    x: np.ndarray
    weights: np.ndarray
    bias: np.ndarray | None


def token_logprobs(
    logits,
    tokens=None,
    *,
    top_k=0,
    token_ids=None,
    entropy=False,
    temperature=1.0,
    soft_cap=None,
    ignore_index=None,
):
    """Log-probabilities of tokens from one read of each row of logits (..., classes).

    `tokens` (...) are the chosen ones, `token_ids` those that are asked for in every row, (n,), or in each, (..., n). A
    temperature is one number, or an array (...) of one for each row. Rows whose token is `ignore_index` are not read.
    """
    return TokenLogProbs(
        *_core.token_logprobs(logits, tokens, top_k, token_ids, entropy, temperature, soft_cap, ignore_index)
    )


def sequence_logprobs(
    logits, tokens, offsets, *, next_token=False, temperature=1.0, soft_cap=None, ignore_index=None
):
    """The log-probability of each sequence of a batch: sequence ``i`` is the rows from ``offsets[i]`` up to ``offsets[i + 1]``.

    Row ``r`` is scored against ``tokens[r]``, with `next_token` against ``tokens[r + 1]``: logits as a causal model gives them.
    """
    return SequenceLogProbs(
        *_core.sequence_logprobs(logits, tokens, offsets, next_token, temperature, soft_cap, ignore_index)
    )


def linear_cross_entropy(x, weights, labels, **options):
    """The loss of the logits ``x @ weights.T + bias``, which are never stored as a whole.

    `x` is (..., features), `weights` (classes, features), and options are `bias`, those of `cross_entropy` but for `axis` and
    `out`, and `workspace`, the bytes that a call may take.
    """
    return _core.linear_cross_entropy(x, weights, labels, **options)[0]


def linear_loss_and_grads(x, weights, labels, **options):
    """As `linear_cross_entropy`, with the gradients of the features, the weights and the bias."""
    loss, grads = _core.linear_cross_entropy(x, weights, labels, gradients=True, **options)
    return loss, LinearGrads(*grads)
