"""The oracle: the loss and its gradient in f64, naive, sharing nothing with the package."""

import numpy as np


def log_softmax(x):
    """Of rows (n, classes), as `(x_i - m) - ln(1 + the others)`: two parts of one sign."""
    x = np.asarray(x, np.float64)
    order = np.arange(len(x)), x.argmax(-1)
    shifted = x - x[order][:, None]
    others = np.exp(shifted)
    others[order] = 0.0
    return shifted - np.log1p(others.sum(-1))[:, None]


def logsumexp(x):
    return np.asarray(x, np.float64)[:, 0] - log_softmax(x)[:, 0]


def distributions(labels, classes, smoothing=0.0):
    """Labels of rows, (n,) or (n, classes), as smoothed distributions."""
    if labels.ndim == 1:
        labels = labels[:, None] == np.arange(classes)
    return (1.0 - smoothing) * labels.astype(np.float64) + smoothing / classes


def cross_entropy(
    x,
    labels,
    weight=None,
    ignore_index=-100,
    label_smoothing=0.0,
    reduction="mean",
    z_loss=0.0,
    soft_cap=None,
    temperature=1.0,
):
    """The loss in PyTorch's conventions, and its gradient with respect to `x`: (n, classes), f64."""
    x = np.asarray(x, np.float64)
    n, classes = x.shape
    mapped, slope = x, np.full_like(x, 1.0 / temperature)
    if soft_cap is not None:
        bent = np.tanh(x / soft_cap)
        mapped, slope = soft_cap * bent, slope * (1.0 - bent**2)
    mapped = mapped / temperature
    w = np.ones(classes) if weight is None else np.asarray(weight, np.float64)
    used = np.ones(n, bool) if labels.ndim == 2 else labels != ignore_index
    t = distributions(labels if labels.ndim == 2 else np.where(used, labels, 0), classes, label_smoothing) * w
    log_p, lse = log_softmax(mapped), logsumexp(mapped)
    losses = (-t * log_p).sum(-1) + z_loss * lse**2
    gradient = np.exp(log_p) * (t.sum(-1) + 2.0 * z_loss * lse)[:, None] - t
    losses[~used], gradient[~used] = 0.0, 0.0
    gradient *= slope
    if reduction == "none":
        return losses, gradient
    if reduction == "sum":
        return losses.sum(), gradient
    total = n if labels.ndim == 2 else w[labels[used]].sum()
    return losses.sum() / total, gradient / total


def assert_close(given, expected, ulp=3.0, of=None):
    """Within so many units in the last place: of the expected value, or of the magnitude of what it is the sum of."""
    given, expected = np.asarray(given), np.asarray(expected, np.float64)
    assert given.shape == expected.shape
    scale = np.abs(expected if of is None else np.broadcast_to(of, expected.shape)).astype(np.float32)
    unit = np.spacing(np.maximum(scale, np.finfo(np.float32).tiny)).astype(np.float64)
    off = np.abs(given.astype(np.float64) - expected) / unit
    assert not (off > ulp).any(), f"{off.max()} ULP"
    assert (np.isnan(given) == np.isnan(expected)).all()
