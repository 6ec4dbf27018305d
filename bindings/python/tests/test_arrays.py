"""Arrays of every kind: types, strides, libraries, and what is refused."""

import array
import re

import numpy as np
import pytest

import xent

X = np.random.default_rng(0).normal(size=(4, 6)).astype(np.float32)
LABELS = np.array([0, 5, 2, 3])
LOSSES = xent.cross_entropy(X, LABELS, reduction="none")


def losses(x, labels=LABELS, **options):
    return xent.cross_entropy(x, labels, reduction="none", **options)


def unaligned(values):
    raw = np.zeros(values.nbytes + 1, np.uint8)
    view = raw[1:].view(values.dtype).reshape(values.shape)
    view[...] = values
    assert view.itemsize == 1 or not view.flags.aligned
    return view


def strided(x):
    wide = np.zeros((8, 12), x.dtype)
    wide[::2, 1::2] = x
    return wide[::2, 1::2]


def packed(x):
    records = np.zeros(x.shape, np.dtype([("tag", np.uint8), ("value", x.dtype)]))
    records["value"] = x
    return records["value"]


def read_only(x):
    copy = x.copy()
    copy.flags.writeable = False
    return copy


@pytest.mark.parametrize(
    "made",
    [
        np.asfortranarray,
        strided,
        unaligned,
        packed,
        read_only,
        lambda x: np.ascontiguousarray(x[::-1])[::-1],
        lambda x: np.ascontiguousarray(x[:, ::-1])[:, ::-1],
        lambda x: memoryview(np.ascontiguousarray(x)),
        lambda x: memoryview(x.tobytes()).cast("f", x.shape),
    ],
    ids=["fortran", "strides", "unaligned", "packed", "readonly", "rows back", "classes back", "memoryview", "bytes"],
)
def test_layouts_change_no_bit(made):
    x = made(X)
    assert np.array_equal(losses(x), LOSSES)
    assert np.array_equal(xent.softmax(x), xent.softmax(X))
    dense = np.eye(6, dtype=np.float32)[LABELS]
    assert np.array_equal(losses(X, made(dense)), losses(X, dense))
    weight = np.asarray(made(X**2 + 1))[1]
    assert np.array_equal(losses(X, weight=weight), losses(X, weight=np.array(weight)))


@pytest.fixture(params=["float16", "bfloat16"])
def half(request):
    if request.param == "bfloat16":
        return np.dtype(pytest.importorskip("ml_dtypes", reason="ml_dtypes is not installed").bfloat16)
    return np.dtype(request.param)


@pytest.mark.parametrize("made", [np.array, np.asfortranarray, strided, unaligned, packed, read_only], ids=lambda f: f.__name__)
def test_inputs_of_16_bits_are_read_as_the_same_numbers(half, made):
    x, weight, dense = (values.astype(half) for values in (X, X[0] ** 2 + 1, np.eye(6)[LABELS] * 0.75))
    wide, wide_weight, wide_dense = (values.astype(np.float32) for values in (x, weight, dense))
    for function in (xent.softmax, xent.log_softmax, xent.logsumexp):
        given = function(made(x))
        assert given.dtype == np.float32 and np.array_equal(given, function(wide))
    for options in ({}, {"weight": weight}, {"label_smoothing": 0.1, "temperature": 2.0}):
        expected = {**options, "weight": wide_weight} if "weight" in options else options
        assert np.array_equal(losses(made(x), **options), losses(wide, **expected))
        assert np.array_equal(losses(X, made(dense), **options), losses(X, wide_dense, **expected))
        loss, gradient = xent.loss_and_grad(made(x), LABELS, **options)
        assert gradient.dtype == np.float32
        assert loss == xent.cross_entropy(wide, LABELS, **expected)
        assert np.array_equal(gradient, xent.loss_and_grad(wide, LABELS, **expected)[1])
    given = xent.token_logprobs(made(x), LABELS, top_k=3, entropy=True)
    for mine, theirs in zip(given, xent.token_logprobs(wide, LABELS, top_k=3, entropy=True)):
        assert mine is theirs is None or np.array_equal(mine, theirs)
    assert xent.linear_cross_entropy(made(x), X, np.arange(4)) == xent.linear_cross_entropy(wide, X, np.arange(4))


def test_results_of_16_bits_are_rounded_once(half):
    x = X.astype(half)
    wide = x.astype(np.float32)
    other = np.dtype(np.int16) if half == np.float16 else np.dtype(np.float16)
    gradient = lambda x, out, **options: xent.loss_and_grad(x, LABELS, out=out, **options)[1]  # noqa: E731
    for function in (xent.softmax, xent.log_softmax, gradient):
        for options in ({}, {"temperature": 2.0}):
            expected = function(wide, out=None, **options).astype(half)
            for over in (strided(x), np.empty_like(x)):
                assert function(x, out=over, **options) is over and np.array_equal(over, expected)
            over = x.copy()
            assert function(over, out=over, **options) is over and np.array_equal(over, expected)
        with pytest.raises(ValueError, match="shares memory with the logits"):
            function(x, out=x.view(other))
    assert np.array_equal(x, wide.astype(half))
    with pytest.raises(TypeError, match="out has values of type b?float16; expected float32"):
        xent.logsumexp(x, out=np.empty(4, half))
    with pytest.raises(TypeError, match="weights"):
        xent.linear_cross_entropy(X, x, LABELS[:1].repeat(4))


def test_the_buffer_of_16_bits():
    x = X.astype(np.float16)
    assert memoryview(x).format == "e"
    assert np.array_equal(losses(memoryview(x)), losses(x.astype(np.float32)))


def test_many_uneven_axes():
    big = np.random.default_rng(1).normal(size=(3, 6, 5, 5, 5)).astype(np.float32)
    crop = big[:, :, 1:4, 1:4, 1:4]
    labels = np.random.default_rng(2).integers(0, 6, (3, 3, 3, 3))
    expected = losses(np.ascontiguousarray(crop), labels, axis=1)
    assert np.array_equal(losses(crop, labels, axis=1), expected)
    repeated = np.broadcast_to(X[:1], X.shape)
    assert np.array_equal(losses(repeated), losses(repeated.copy()))


@pytest.mark.parametrize("kind", ["u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8"])
def test_labels_of_every_integer_type(kind):
    labels = LABELS.astype(kind)
    apart = np.zeros(8, kind)
    apart[::2] = labels
    for same in (labels, apart[::2], unaligned(labels), labels[::-1].copy()[::-1]):
        assert np.array_equal(losses(X, same), LOSSES)
    if kind[0] == "i":
        apart[2] = -1
        for ignored in (apart[::2], apart[::2].copy()):
            assert losses(X, ignored, ignore_index=-1)[1] == 0.0


def test_the_buffer_protocol_of_other_things():
    labels = array.array("q", LABELS.tolist())
    assert np.array_equal(losses(X, labels), LOSSES)
    out = array.array("f", [0.0] * 4)
    assert xent.cross_entropy(X, labels, reduction="none", out=out) is out
    assert np.array_equal(np.asarray(out), LOSSES)


class Exported:
    """An array by DLPack alone."""

    def __init__(self, values):
        self.values = values

    def __dlpack__(self, **options):
        return self.values.__dlpack__(**options)

    def __dlpack_device__(self):
        return self.values.__dlpack_device__()


def test_dlpack():
    assert np.array_equal(losses(Exported(X), Exported(LABELS)), LOSSES)
    assert np.array_equal(losses(Exported(strided(X))), LOSSES)
    assert np.array_equal(losses(Exported(read_only(X))), LOSSES)
    out = np.empty_like(X)
    xent.softmax(Exported(X), out=Exported(out))
    assert np.array_equal(out, xent.softmax(X))
    with pytest.raises(ValueError, match="out is read-only"):
        xent.softmax(X, out=Exported(read_only(X)))


def test_jax():
    jnp = pytest.importorskip("jax.numpy", reason="JAX is not installed")
    assert np.array_equal(losses(jnp.asarray(X), jnp.asarray(LABELS)), LOSSES)
    with pytest.raises(ValueError, match="read-only"):
        xent.softmax(X, out=jnp.zeros_like(X))
    half = jnp.asarray(X, jnp.bfloat16)
    assert np.array_equal(losses(half), losses(half.astype(jnp.float32)))


def test_torch_tensors():
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    x = torch.from_numpy(X)
    assert np.array_equal(losses(x, torch.from_numpy(LABELS)), LOSSES)
    assert np.array_equal(losses(x.T.contiguous().T), LOSSES)
    out = torch.empty(4, 6)
    assert xent.softmax(x, out=out) is out and np.array_equal(out.numpy(), xent.softmax(X))
    with pytest.raises(TypeError, match="requires a gradient.*xent.torch"):
        losses(x.clone().requires_grad_())
    for half in (x.bfloat16(), x.half()):
        assert np.array_equal(losses(half), losses(half.float()))
        assert torch.equal(xent.softmax(half, out=torch.empty_like(half)), xent.softmax(half.float(), out=out).to(half.dtype))


@pytest.mark.parametrize(
    ("error", "message", "call"),
    [
        (TypeError, "float64; expected float32", lambda: losses(X.astype(np.float64))),
        (TypeError, "complex64; expected float32, float16 or bfloat16", lambda: losses(X.astype(np.complex64))),
        (TypeError, ">f4", lambda: losses(X.astype(">f4"))),
        (TypeError, "bool; expected integers", lambda: losses(X, LABELS > 1)),
        (TypeError, "object", lambda: losses(X.astype(object))),
        (TypeError, "of type list; expected an array", lambda: losses(X.tolist())),
        (TypeError, "of type str; expected an array", lambda: losses("logits")),
        (ValueError, "labels has shape [3]; expected [4]", lambda: losses(X, LABELS[:3])),
        (ValueError, "labels has shape [4, 1]; expected [4, 6]", lambda: losses(X, X[:, :1])),
        (ValueError, "the label 6 of row 1 is out of range; expected 0 to 5", lambda: losses(X, LABELS + 1)),
        (ValueError, "class weights has shape [5]; expected [6]", lambda: losses(X, weight=X[0, :5])),
        (ValueError, "the class weight at 1 is inf", lambda: losses(X, weight=np.array([0, np.inf, 0, 0, 0, 0], "f4"))),
        (ValueError, "the label smoothing is 2; expected 0 to 1", lambda: losses(X, label_smoothing=2)),
        (ValueError, "temperature", lambda: losses(X, temperature=0)),
        (ValueError, "soft cap", lambda: xent.softmax(X, soft_cap=-1.0)),
        (ValueError, 'the reduction is "man"; expected "none", "sum" or "mean"', lambda: xent.cross_entropy(X, LABELS, reduction="man")),
        (ValueError, "has 2 axes; expected axis 2", lambda: losses(X, axis=2)),
        (ValueError, "has 2 axes; expected axis -3", lambda: losses(X, axis=-3)),
        (ValueError, "has 0 axes", lambda: xent.softmax(np.float32(1.0).reshape(()))),
        (ValueError, "4 rows have 0 classes", lambda: losses(X[:, :0])),
        (ValueError, "out has shape [6, 4]; expected [4, 6]", lambda: xent.softmax(X, out=np.empty((6, 4), "f4"))),
        (ValueError, "out is read-only", lambda: xent.softmax(X, out=read_only(X))),
        (TypeError, "out has values of type float64", lambda: xent.softmax(X, out=np.empty((4, 6)))),
        (ValueError, "cannot be written to as it lies", lambda: xent.softmax(X, out=np.empty_like(X)[::-1])),
        (ValueError, "overlap", lambda: xent.softmax(X, out=np.lib.stride_tricks.as_strided(X.copy(), strides=(0, 4)))),
        (ValueError, "reduced loss is a number", lambda: xent.cross_entropy(X, LABELS, out=np.empty(4, "f4"))),
        (ValueError, "the named token -1 at 0", lambda: xent.token_logprobs(X, token_ids=np.array([-1]))),
        (ValueError, "the named token 6 at 0", lambda: xent.token_logprobs(X, token_ids=np.array([6]))),
        (ValueError, "the sequence offset at 1 is 5", lambda: xent.sequence_logprobs(X, LABELS, np.array([0, 5]))),
        (ValueError, "weights has shape [5, 5]; expected [5, 6]", lambda: xent.linear_cross_entropy(X, np.ones((5, 5), "f4"), LABELS)),
    ],
)
def test_what_is_wrong_is_said(error, message, call):
    with pytest.raises(error, match=re.escape(message)):
        call()


def test_memory_that_is_shared_is_refused():
    both = np.zeros((4, 12), np.float32)
    both[:, :6] = X
    before = both.copy()
    for out in (both[:, 1:7], both[:, 6:], both[:, :6][::-1]):
        with pytest.raises(ValueError, match="shares memory with the logits|cannot be written"):
            xent.softmax(both[:, :6], out=out)
    dense = X.copy()
    with pytest.raises(ValueError, match="shares memory with the labels"):
        xent.loss_and_grad(X, dense, out=dense)
    assert np.array_equal(both, before)


def test_nothing_is_written_by_a_refused_call():
    out = np.full((4, 6), 7.0, np.float32)
    with pytest.raises(ValueError):
        xent.loss_and_grad(X, LABELS + 1, out=out)
    assert (out == 7.0).all()


def test_empty_arrays():
    nothing = np.empty((0, 6), np.float32)
    none = np.empty(0, np.int64)
    assert np.isnan(xent.cross_entropy(nothing, none)) and xent.cross_entropy(nothing, none, reduction="sum") == 0.0
    loss, gradient = xent.loss_and_grad(nothing, none, reduction="none")
    assert loss.shape == (0,) and gradient.shape == (0, 6)
    assert xent.softmax(np.empty((3, 0, 2), np.float32), axis=2).shape == (3, 0, 2)
    assert xent.token_logprobs(nothing, none, top_k=2).top_ids.shape == (0, 2)
    assert len(xent.sequence_logprobs(nothing, none, np.array([0, 0])).sum) == 1


def test_sizes_that_overflow():
    huge = np.lib.stride_tricks.as_strided(X[:1, :1], shape=(2**40, 2**10), strides=(0, 0))
    with pytest.raises(MemoryError, match="no memory for 1125899906842624 results"):
        xent.softmax(huge)
    with pytest.raises((MemoryError, ValueError)):
        xent.token_logprobs(X, top_k=2**61)
