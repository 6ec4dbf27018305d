"""Losses, gradients, probabilities and log-probabilities against NumPy in f64."""

import numpy as np
import pytest
from reference import assert_close, cross_entropy, log_softmax, logsumexp

import xent

SHAPES = [(1, 1), (1, 10), (37, 3), (64, 10), (19, 1000), (3, 70_000), (600, 128)]

OPTIONS = [
    {},
    {"reduction": "none"},
    {"reduction": "sum"},
    {"weight": True},
    {"weight": True, "reduction": "none", "label_smoothing": 0.1},
    {"label_smoothing": 0.2},
    {"z_loss": 1e-3},
    {"soft_cap": 5.0, "reduction": "none"},
    {"temperature": 0.5, "soft_cap": 30.0},
    {"ignore_index": 0},
]


def drawn(rows, classes, seed=0):
    random = np.random.default_rng(seed)
    x = random.normal(0.0, 4.0, (rows, classes)).astype(np.float32)
    return random, x, random.integers(0, classes, rows)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("dense", [False, True], ids=["indices", "distributions"])
def test_the_loss_and_its_gradient(shape, options, dense):
    random, x, labels = drawn(*shape)
    options = dict(options)
    if options.pop("weight", False):
        options["weight"] = random.uniform(0.5, 2.0, shape[1]).astype(np.float32)
    if dense:
        labels = random.dirichlet(np.ones(shape[1]), shape[0]).astype(np.float32)
    elif options.get("ignore_index") == 0 and (labels == 0).all():
        labels[0] = shape[1] - 1
        if shape[1] == 1:
            pytest.skip("no label would be left")
    expected, slope = cross_entropy(x, labels, **options)
    loss = xent.cross_entropy(x, labels, **options)
    again, gradient = xent.loss_and_grad(x, labels, **options)
    # Losses of distributions and smoothed ones are sums, bent logits are rounded before the loss is taken of them, a z-loss is as
    # good as its log-sum-exp; and gradients are then differences of parts that are as large as a label is.
    plain = not dense and not options.keys() & {"label_smoothing", "soft_cap", "temperature", "z_loss"}
    magnitude = 0.0 if plain else np.abs(x).max()
    assert_close(loss, expected, of=np.abs(expected) + magnitude)
    assert np.array_equal(loss, again)
    label = np.max(options.get("weight", 1.0)) / options.get("temperature", 1.0)
    label /= 1.0 if "reduction" in options else shape[0]
    assert_close(gradient, slope, ulp=3.0 if plain else 8.0, of=None if plain else label)


def test_tiny_losses_have_digits():
    x = np.array([[20.0, 0.0], [90.0, 10.0]], np.float32)
    loss = xent.cross_entropy(x, np.array([0, 0]), reduction="none")
    assert_close(loss, np.log1p(np.exp([-20.0, -80.0])))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_softmax_family(shape):
    _, x, _ = drawn(*shape)
    expected = log_softmax(x)
    assert_close(xent.log_softmax(x), expected)
    assert_close(xent.softmax(x), np.exp(expected))
    # Near zero it is as good as the largest logit.
    assert_close(xent.logsumexp(x), logsumexp(x), of=np.maximum(np.abs(logsumexp(x)), np.abs(x.max(-1))))
    assert_close(xent.softmax(x, temperature=2.0), np.exp(log_softmax(x / 2)), ulp=4.0)
    assert_close(xent.logsumexp(x, temperature=2.0), logsumexp(x / 2), of=np.abs(x).max(-1))


@pytest.mark.parametrize("axis", [0, 1, 2, 3, -1, -3])
def test_classes_along_any_axis(axis):
    x = np.random.default_rng(1).normal(size=(2, 3, 4, 5)).astype(np.float32)
    last = np.moveaxis(x, axis, -1)
    rows = last.reshape(-1, last.shape[-1])
    assert np.array_equal(np.moveaxis(xent.softmax(x, axis=axis), axis, -1).reshape(rows.shape), xent.softmax(rows))
    labels = np.random.default_rng(2).integers(0, rows.shape[1], len(rows)).reshape(last.shape[:-1])
    loss, gradient = xent.loss_and_grad(x, labels, axis=axis, reduction="none")
    expected, slope = xent.loss_and_grad(rows, labels.ravel(), reduction="none")
    assert np.array_equal(loss.ravel(), expected) and loss.shape == labels.shape
    assert np.array_equal(np.moveaxis(gradient, axis, -1).reshape(rows.shape), slope)


def test_results_go_where_they_are_told():
    _, x, labels = drawn(5, 7)
    out = np.empty_like(x)
    assert xent.softmax(x, out=out) is out and np.array_equal(out, xent.softmax(x))
    loss, gradient = xent.loss_and_grad(x, labels)
    over = x.copy()
    again, given = xent.loss_and_grad(over, labels, out=over)
    assert given is over and np.array_equal(over, gradient) and again == loss
    for options in ({}, {"temperature": 3.0}):
        over = x.copy()
        assert np.array_equal(xent.log_softmax(over, out=over, **options), xent.log_softmax(x, **options))
    losses = np.empty(5, np.float32)
    assert xent.cross_entropy(x, labels, reduction="none", out=losses) is losses
    assert np.array_equal(losses, xent.cross_entropy(x, labels, reduction="none"))
    turned = np.empty((7, 5), np.float32).T
    assert np.array_equal(xent.softmax(x, out=turned), xent.softmax(x))


def test_token_logprobs():
    random, x, tokens = drawn(6, 100)
    names = random.integers(0, 100, (6, 4)).astype(np.uint32)
    x[2, 5] = x[2, 7]
    tokens[2] = 5
    expected = log_softmax(x)
    found = xent.token_logprobs(x.reshape(2, 3, 100), tokens.reshape(2, 3), top_k=3, token_ids=names.reshape(2, 3, 4), entropy=True)
    rows = np.arange(6)
    assert found.logprobs.shape == (2, 3) and found.named.shape == (2, 3, 4)
    assert_close(found.logprobs.ravel(), expected[rows, tokens])
    chosen = x[rows, tokens][:, None]
    assert np.array_equal(found.above.ravel(), (x > chosen).sum(-1))
    assert np.array_equal(found.equal.ravel(), (x == chosen).sum(-1)) and found.equal[0, 2] == 2
    order = np.argsort(-x, -1, kind="stable")[:, :3]
    assert np.array_equal(found.top_ids.reshape(6, 3), order)
    assert_close(found.top_logprobs.reshape(6, 3), np.take_along_axis(expected, order, -1))
    assert_close(found.named.reshape(6, 4), np.take_along_axis(expected, names.astype(np.int64), -1))
    assert_close(found.entropy.ravel(), -(np.exp(expected) * expected).sum(-1), ulp=8.0)
    shared = xent.token_logprobs(x, token_ids=np.array([7, 2]))
    assert_close(shared.named, expected[:, [7, 2]])
    assert shared.logprobs is None and shared.top_ids is None
    warm = xent.token_logprobs(x, tokens, temperature=np.linspace(0.5, 2.0, 6, dtype=np.float32))
    by_row = log_softmax(x / np.linspace(0.5, 2.0, 6, dtype=np.float32)[:, None].astype(np.float64))
    assert_close(warm.logprobs, by_row[rows, tokens], ulp=16.0)


def test_sequence_logprobs():
    _, x, tokens = drawn(7, 30)
    expected = log_softmax(x)
    scores = xent.sequence_logprobs(x, tokens, np.array([0, 2, 2, 7]))
    each = expected[np.arange(7), tokens]
    assert_close(scores.sum.astype(np.float32), [each[:2].sum(), 0.0, each[2:].sum()])
    assert scores.tokens.tolist() == [2, 0, 5] and scores.is_greedy.tolist()[1] is True
    greedy = xent.sequence_logprobs(x, x.argmax(-1), np.array([0, 7]))
    assert greedy.is_greedy.dtype == bool and greedy.is_greedy.all()
    shifted = xent.sequence_logprobs(x, tokens, np.array([0, 7]), next_token=True)
    assert_close(shifted.sum.astype(np.float32), [expected[np.arange(6), tokens[1:]].sum()])
    assert shifted.tokens.tolist() == [6]


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_a_linear_classifier(reduction):
    random = np.random.default_rng(3)
    x, w = random.normal(size=(50, 16)).astype(np.float32), random.normal(size=(3000, 16)).astype(np.float32)
    bias, labels = random.normal(size=3000).astype(np.float32), random.integers(0, 3000, 50)
    labels[7] = -100
    logits = x.astype(np.float64) @ w.astype(np.float64).T + bias
    expected, slope = cross_entropy(logits, labels, reduction=reduction)
    options = {"bias": bias, "reduction": reduction}
    loss, grads = xent.linear_loss_and_grads(x, w, labels, **options)
    # A logit is a sum of 17 products in f32.
    np.testing.assert_allclose(loss, expected, rtol=2e-5)
    np.testing.assert_allclose(xent.linear_cross_entropy(x, w, labels, **options), expected, rtol=2e-5)
    for gradient, exact in zip(grads, [slope @ w, slope.T @ x, slope.sum(0)]):
        np.testing.assert_allclose(gradient, exact, rtol=1e-4, atol=1e-5 * np.abs(exact).max())
    turned = np.asfortranarray(w)
    again, _ = xent.linear_loss_and_grads(x, turned, labels, **options)
    assert np.array_equal(again, loss)
    assert xent.linear_loss_and_grads(x, w, labels)[1].bias is None
