"""The drop-ins for PyTorch, against PyTorch: its own samples, its edge cases, and a training run."""

import itertools
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

import torch.nn.functional as F  # noqa: E402
from reference import assert_close, cross_entropy  # noqa: E402

import xent.torch  # noqa: E402

DIGITS = Path(__file__).parents[3] / "examples" / "data" / "digits.csv"

NEEDS = "PyTorch's own samples need the package expecttest"

torch_cross_entropy = F.cross_entropy
if hasattr(F, "linear_cross_entropy"):
    torch_linear_cross_entropy = F.linear_cross_entropy


@pytest.fixture
def own(monkeypatch):
    """How often xent itself computed a loss, and PyTorch's function was left to do it."""
    calls = {"xent": 0, "torch": 0}

    def count(module, name, who):
        function = getattr(module, name)

        def counted(*arguments, **keywords):
            calls[who] += 1
            return function(*arguments, **keywords)

        monkeypatch.setattr(module, name, counted)

    count(xent.torch._core, "forward", "xent")
    count(xent.torch._core, "linear_forward", "xent")
    count(xent.torch, "_torch_cross_entropy", "torch")
    count(xent.torch, "_torch_linear_cross_entropy", "torch")
    return calls


def both(function, expected, tensors, call):
    """The loss and the gradients of two functions of the same tensors, with random upstream gradients."""
    found = []
    for f in (function, expected):
        leaves = [t.detach().clone().requires_grad_(t.requires_grad) if t is not None else None for t in tensors]
        loss = call(f, *leaves)
        upstream = torch.linspace(0.5, 2.0, loss.numel()).reshape(loss.shape).to(loss.dtype)
        needed = [leaf for leaf in leaves if leaf is not None and leaf.requires_grad]
        found.append((loss, torch.autograd.grad(loss, needed, upstream)))
    return found


def same(found, rtol=2e-6, atol=2e-6):
    (loss, gradients), (expected, slopes) = found
    torch.testing.assert_close(loss, expected, rtol=rtol, atol=atol, equal_nan=True)
    for gradient, slope in zip(gradients, slopes):
        torch.testing.assert_close(gradient, slope, rtol=rtol, atol=atol)


def is_left(target, weight=None, reduction="mean", **options):
    """Whether a mean by weights is left to PyTorch, because the weights that count add up to less than nothing."""
    if weight is None or reduction != "mean" or target.is_floating_point():
        return False
    counts = target != options.get("ignore_index", -100)
    return bool(weight[target[counts]].sum() < 0)


def op_samples(name, dtype=torch.float32):
    methods = pytest.importorskip("torch.testing._internal.common_methods_invocations", reason=NEEDS)
    ops = [op for op in methods.op_db if op.name == name and not op.variant_test_name]
    if not ops:
        pytest.skip(f"this PyTorch has no {name}")
    torch.manual_seed(0)
    return list(ops[0].sample_inputs("cpu", dtype, requires_grad=True))


def test_the_samples_of_opinfo(own, record_property):
    samples = op_samples("nn.functional.cross_entropy")
    for sample in samples:
        target = sample.args[0]
        same(
            both(
                xent.torch.cross_entropy,
                torch_cross_entropy,
                [sample.input, target],
                lambda f, x, t, sample=sample: f(x, t, **sample.kwargs),
            )
        )
    record_property("samples", len(samples))
    left = sum(is_left(*sample.args, **sample.kwargs) for sample in samples)
    assert len(samples) >= 20 and left <= 1 and own == {"xent": len(samples), "torch": left}


def test_the_samples_of_opinfo_without_gradients(own):
    samples = op_samples("nn.functional.cross_entropy")
    for sample in samples:
        with torch.no_grad():
            arguments = (sample.input, *sample.args)
            loss, expected = (f(*arguments, **sample.kwargs) for f in (xent.torch.cross_entropy, torch_cross_entropy))
        torch.testing.assert_close(loss, expected)
        assert not loss.requires_grad
    assert own["xent"] == len(samples) and own["torch"] <= 1


HALVES = [torch.bfloat16, torch.float16]


def widened(function):
    """A function of floats as float32, whose loss and gradients are rounded to the type of the logits."""

    def wide(*arguments, **options):
        def float32(value):
            return value.float() if torch.is_tensor(value) and value.is_floating_point() else value

        loss = function(*map(float32, arguments), **{name: float32(value) for name, value in options.items()})
        return loss.to(arguments[0].dtype)

    return wide


def check_16_bits(x, target, **options):
    """Bit for bit the loss in float32, rounded; as close to PyTorch's in float32 as its type can be; near PyTorch's of that type."""
    unit = torch.finfo(x.dtype).eps
    for expected, rtol, atol in (
        (widened(xent.torch.cross_entropy), 0, 0),
        (widened(torch_cross_entropy), unit, 1e-5),
        (torch_cross_entropy, 8 * unit, 4 * unit),
    ):
        call = lambda f, x, t: f(x, t, **options)  # noqa: E731
        found = both(xent.torch.cross_entropy, expected, [x, target], call)
        # Where PyTorch's own sums are too large for float16 it has nothing to compare with.
        if not found[1][0].isinf().any():
            same(found, rtol, atol)
        else:
            assert expected is torch_cross_entropy and x.dtype is torch.float16


@pytest.mark.parametrize("dtype", HALVES, ids=str)
def test_the_samples_of_opinfo_of_16_bits(own, dtype):
    samples = op_samples("nn.functional.cross_entropy", dtype)
    for sample in samples:
        if not is_left(*sample.args, **sample.kwargs):
            check_16_bits(sample.input, *sample.args, **sample.kwargs)
    assert own["xent"] >= 4 * (len(samples) - 1)


@pytest.mark.parametrize("dtype", HALVES, ids=str)
@pytest.mark.parametrize("shape", [(5,), (7, 5), (3, 5, 4), (20, 5000)], ids=str)
@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
@pytest.mark.parametrize("dense", [False, True])
def test_options_of_16_bits(own, dtype, shape, reduction, dense):
    generator = torch.Generator().manual_seed(0)
    axis = 0 if len(shape) == 1 else 1
    x = torch.randn(shape, generator=generator).mul_(3).to(dtype).requires_grad_()
    options = {"weight": torch.rand(shape[axis], generator=generator).add_(0.5).to(dtype), "reduction": reduction}
    if dense:
        target = torch.rand(shape, generator=generator).softmax(axis).to(dtype).requires_grad_()
    else:
        target = torch.randint(shape[axis], shape[:axis] + shape[axis + 1 :], generator=generator)
        if target.numel() > 1:
            target.view(-1)[1] = options["ignore_index"] = -7
    for smoothing in (0.0, 0.3):
        check_16_bits(x, target, label_smoothing=smoothing, **options)
    assert own == {"xent": 8, "torch": 0}


@pytest.mark.parametrize("dtype", HALVES, ids=str)
def test_types_of_autocast_and_of_mixtures(own, dtype):
    x, target = torch.randn(6, 4).to(dtype).requires_grad_(), torch.tensor([0, 1, 2, 3, 0, 1])
    weight, dense = torch.rand(4) + 0.5, torch.rand(6, 4).softmax(1)
    for t, w in ((target, None), (target, weight), (target, weight.to(dtype)), (dense, weight)):
        with torch.autocast("cpu", torch.bfloat16):
            same(both(xent.torch.cross_entropy, torch_cross_entropy, [x], lambda f, x, t=t, w=w: f(x, t, w)), 1e-2, 1e-5)
            with torch.no_grad():
                assert xent.torch.cross_entropy(x, t, w).dtype is torch.float32
    assert own == {"xent": 8, "torch": 0}
    # PyTorch takes some mixtures, of which xent has none.
    assert xent.torch.cross_entropy(x, dense).dtype is torch.float32
    with pytest.raises(RuntimeError, match="scalar type"):
        xent.torch.cross_entropy(x, target, weight)
    assert own["xent"] == 8


@pytest.mark.parametrize("dtype", HALVES, ids=str)
def test_second_derivatives_of_16_bits(dtype):
    x, target = torch.randn(4, 6).to(dtype).requires_grad_(), torch.tensor([0, 1, 2, 3])
    found = []
    for function in (xent.torch.cross_entropy, widened(torch_cross_entropy)):
        gradient = torch.autograd.grad(function(x, target), x, create_graph=True)[0]
        found.append(torch.autograd.grad(gradient.square().sum(), x)[0])
    assert found[0].dtype is dtype
    torch.testing.assert_close(*found)


@pytest.mark.parametrize("dtype", [torch.float64], ids=str)
def test_other_types_are_left_to_pytorch(own, dtype):
    samples = op_samples("nn.functional.cross_entropy", dtype)
    for sample in samples:
        loss = xent.torch.cross_entropy(sample.input, *sample.args, **sample.kwargs)
        torch.testing.assert_close(loss, torch_cross_entropy(sample.input, *sample.args, **sample.kwargs))
    assert own == {"xent": 0, "torch": len(samples)}


def test_the_samples_of_moduleinfo(own):
    modules = pytest.importorskip("torch.testing._internal.common_modules", reason=NEEDS)
    info = next(info for info in modules.module_db if info.module_cls is torch.nn.CrossEntropyLoss)
    torch.manual_seed(0)
    count = left = 0
    for sample in info.module_inputs_func(info, "cpu", torch.float32, requires_grad=True, training=True):
        made, given = sample.constructor_input, sample.forward_input
        module = torch.nn.CrossEntropyLoss(*made.args, **made.kwargs)

        def call(f, x, t, module=module):
            if f is torch_cross_entropy:
                return module(x, t)
            with xent.torch.patch():
                return module(x, t)

        tensors = [a.detach().requires_grad_(i == 0 and a.is_floating_point()) for i, a in enumerate(given.args)]
        same(both(xent.torch.cross_entropy, torch_cross_entropy, tensors, call))
        count += 1
        left += is_left(given.args[1], module.weight, module.reduction, ignore_index=module.ignore_index)
    assert count >= 100 and left < count / 10 and own == {"xent": count, "torch": left}


SHAPES = [(5,), (7, 5), (0, 5), (3, 5, 4), (2, 5, 3, 4), (2, 3, 2, 2, 2), (600, 10), (20, 5000)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
@pytest.mark.parametrize("smoothing", [0.0, 0.3])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("dense", [False, True])
def test_every_option(own, shape, reduction, smoothing, weighted, dense):
    generator = torch.Generator().manual_seed(0)
    classes = shape[0 if len(shape) == 1 else 1]
    x = torch.randn(shape, generator=generator).mul_(3).requires_grad_()
    weight = torch.rand(classes, generator=generator) + 0.5 if weighted else None
    options = {"weight": weight, "reduction": reduction, "label_smoothing": smoothing}
    if dense:
        axis = 0 if len(shape) == 1 else 1
        target = torch.rand(shape, generator=generator).softmax(axis).requires_grad_()
    else:
        target = torch.randint(classes, shape[:1] + shape[2:] if len(shape) > 1 else (), generator=generator)
        if target.numel() > 1:
            target.view(-1)[1] = options["ignore_index"] = -7
    found = both(xent.torch.cross_entropy, torch_cross_entropy, [x, target], lambda f, a, t: f(a, t, **options))
    same(found, rtol=2e-5, atol=3e-6)
    assert own == {"xent": 1, "torch": 0}
    if len(shape) == 2 and shape[0] > 0 and not dense:
        options.pop("weight")
        given = None if weight is None else weight.numpy()
        exact, _ = cross_entropy(x.detach().numpy(), target.numpy(), given, **options)
        assert_close(found[0][0].detach().numpy(), exact, of=np.abs(exact) + (10.0 if smoothing else 0.0))


@pytest.mark.parametrize(
    "made",
    [
        lambda x: x.transpose(0, 2).contiguous().transpose(0, 2),
        lambda x: x.to(memory_format=torch.channels_last),
        lambda x: torch.stack([x, x], -1)[..., 0],
        lambda x: F.pad(x, (1, 1, 1, 1))[:, :, 1:-1, 1:-1],
        lambda x: x[:, :, :1, :1].expand(x.shape),
    ],
    ids=["transposed", "channels last", "every other", "cropped", "expanded"],
)
def test_strides(own, made):
    x = torch.randn(2, 5, 3, 4)
    target = torch.randint(5, (2, 3, 4)).transpose(1, 2).contiguous().transpose(1, 2)
    same(
        both(
            xent.torch.cross_entropy,
            torch_cross_entropy,
            [x.requires_grad_()],
            lambda f, x: f(made(x), target, reduction="none"),
        )
    )
    assert own == {"xent": 1, "torch": 0}


def test_labels_of_bytes_and_all_ignored(own):
    x = torch.randn(6, 4, requires_grad=True)
    same(both(xent.torch.cross_entropy, torch_cross_entropy, [x], lambda f, x: f(x, torch.ones(6, dtype=torch.uint8))))
    ignored = torch.full((6,), -100)
    loss = xent.torch.cross_entropy(x, ignored)
    assert loss.isnan() and xent.torch.cross_entropy(x, ignored, reduction="sum") == 0.0
    assert (torch.autograd.grad(xent.torch.cross_entropy(x, ignored, reduction="sum"), x)[0] == 0).all()
    assert own == {"xent": 4, "torch": 0}


def test_the_old_reductions(own):
    x, target = torch.randn(3, 4), torch.tensor([0, 1, 2])
    with pytest.warns(UserWarning):
        for size_average, reduce in itertools.product([None, True, False], repeat=2):
            arguments = {"size_average": size_average, "reduce": reduce}
            torch.testing.assert_close(
                xent.torch.cross_entropy(x, target, **arguments), torch_cross_entropy(x, target, **arguments)
            )


@pytest.mark.parametrize(
    "arguments",
    [
        (torch.randn(3, 4), torch.tensor([0, 1, 9])),
        (torch.randn(3, 4), torch.tensor([0, 1])),
        (torch.randn(3, 4), torch.tensor([0, 1, 2], dtype=torch.int32)),
        (torch.randn(3, 4), torch.tensor([0, 1, 2]), torch.ones(3)),
        (torch.randn(()), torch.tensor(0)),
        (torch.randn(3, 4, dtype=torch.complex64), torch.tensor([0, 1, 2])),
        ([[1.0, 2.0]], torch.tensor([0])),
    ],
    ids=["label", "count", "type", "weights", "scalar", "complex", "list"],
)
def test_errors_are_those_of_pytorch(arguments):
    errors = []
    for function in (xent.torch.cross_entropy, torch_cross_entropy):
        with pytest.raises(Exception) as error:  # noqa: PT011
            function(*arguments)
        errors.append((error.type, str(error.value)))
    assert errors[0] == errors[1]


def test_a_bad_option_is_refused_as_by_pytorch():
    x, target = torch.randn(3, 4), torch.tensor([0, 1, 2])
    for options in ({"reduction": "man"}, {"label_smoothing": 1.5}):
        for function in (xent.torch.cross_entropy, torch_cross_entropy):
            with pytest.raises((ValueError, RuntimeError)):
                function(x, target, **options)


@pytest.mark.parametrize(("classes", "each"), [(50, 0), (5000, 32)])
def test_at_most_32_bytes_of_each_row_are_kept(classes, each):
    x = torch.randn(100, classes, requires_grad=True)
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t) or t, lambda t: t):
        loss = xent.torch.cross_entropy(x, torch.randint(classes, (100,)))
    sums = loss.grad_fn.sums
    assert (0 if sums is None else sums.nbytes) == 100 * each
    # The logits and the labels are the caller's own.
    assert {t.data_ptr() for t in kept if t.dtype == torch.float32} == {x.data_ptr()}


@pytest.mark.parametrize("dense", [False, True])
def test_second_derivatives_are_those_of_pytorch(dense):
    x = torch.randn(4, 6, requires_grad=True)
    target = torch.rand(4, 6).softmax(1).requires_grad_() if dense else torch.randint(6, (4,))
    inputs = (x, target) if dense else (x,)
    found = []
    for function in (xent.torch.cross_entropy, torch_cross_entropy):
        gradients = torch.autograd.grad(function(x, target, label_smoothing=0.1), inputs, create_graph=True)
        found.append(torch.autograd.grad(sum(g.square().sum() for g in gradients), inputs))
    for ours, theirs in zip(*found):
        torch.testing.assert_close(ours, theirs)
    hessians = [
        torch.autograd.functional.hessian(lambda x, f=f: f(x, target.detach()), x.detach())
        for f in (xent.torch.cross_entropy, torch_cross_entropy)
    ]
    torch.testing.assert_close(*hessians)


def test_gradients_are_accumulated_and_the_graph_can_be_kept():
    x = torch.randn(4, 6, requires_grad=True)
    loss = xent.torch.cross_entropy(x, torch.tensor([0, 1, 2, 3]))
    loss.backward(retain_graph=True)
    once = x.grad.clone()
    loss.backward()
    assert torch.equal(x.grad, 2 * once)
    with torch.no_grad():
        x += 1
    changed = xent.torch.cross_entropy(x, torch.tensor([0, 1, 2, 3]))
    with torch.no_grad():
        x += 1
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        changed.backward()


def test_transforms_modes_and_subclasses_are_left_to_pytorch(own):
    x, target = torch.randn(4, 6), torch.tensor([0, 1, 2, 3])

    def loss(function):
        return lambda x: function(x, target)

    ours, theirs = loss(xent.torch.cross_entropy), loss(torch_cross_entropy)
    torch.testing.assert_close(torch.func.grad(ours)(x), torch.func.grad(theirs)(x))
    tangents = torch.ones_like(x)
    torch.testing.assert_close(torch.func.jvp(ours, (x,), (tangents,)), torch.func.jvp(theirs, (x,), (tangents,)))
    batch = torch.randn(3, 4, 6)
    torch.testing.assert_close(torch.func.vmap(ours)(batch), torch.func.vmap(theirs)(batch))
    with torch.autograd.forward_ad.dual_level():
        ours(torch.autograd.forward_ad.make_dual(x, tangents))
    compiled = torch.compile(ours, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(x), theirs(x))
    meta = xent.torch.cross_entropy(x.to("meta"), target.to("meta"))
    assert meta.device.type == "meta"
    from torch._subclasses.fake_tensor import FakeTensorMode

    with FakeTensorMode() as mode:
        assert xent.torch.cross_entropy(mode.from_tensor(x), mode.from_tensor(target)).shape == ()
    assert own["xent"] == 0
    negative = torch.randn(4, 6, dtype=torch.complex64).conj().imag
    assert negative.is_neg()
    torch.testing.assert_close(ours(negative), theirs(negative))
    assert own["xent"] == 0


def test_patch(own):
    x, target = torch.randn(4, 6), torch.tensor([0, 1, 2, 3])
    module = torch.nn.CrossEntropyLoss()
    with xent.torch.patch():
        assert F.cross_entropy is xent.torch.cross_entropy
        module(x, target)
        with xent.torch.patch():
            module(x, target)
        assert F.cross_entropy is xent.torch.cross_entropy
        module(x.double(), target)
    assert F.cross_entropy is torch_cross_entropy and own == {"xent": 2, "torch": 1}
    with pytest.raises(KeyError), xent.torch.patch():
        raise KeyError
    assert F.cross_entropy is torch_cross_entropy

    @xent.torch.patch()
    def inside():
        return F.cross_entropy

    assert inside() is xent.torch.cross_entropy and F.cross_entropy is torch_cross_entropy


def curve(function):
    """The losses of some epochs over the handwritten digits, and what is right in the end."""
    table = torch.from_numpy(np.loadtxt(DIGITS, np.float32, delimiter=",", skiprows=1))
    x, labels = table[:, :64] / 16, table[:, 64].long()
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(64, 32), torch.nn.ReLU(), torch.nn.Linear(32, 10))
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    losses = []
    for _ in range(10):
        for rows in torch.randperm(1400).split(32):
            optimiser.zero_grad()
            loss = function(model(x[rows]), labels[rows])
            loss.backward()
            optimiser.step()
            losses.append(loss.item())
    with torch.no_grad():
        right = (model(x[1400:]).argmax(1) == labels[1400:]).float().mean().item()
    return np.array(losses), right


@pytest.mark.skipif(not DIGITS.exists(), reason="the digits are in the repository")
def test_digits_are_learned_along_the_same_curve():
    losses, right = curve(xent.torch.cross_entropy)
    expected, _ = curve(torch_cross_entropy)
    np.testing.assert_allclose(losses, expected, rtol=0, atol=1e-5)
    assert right > 0.9 and losses[-20:].mean() < 0.1


@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
@pytest.mark.parametrize("dense", [False, True])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("shape", [(30, 16, 50), (40, 8, 3000)], ids=str)
def test_linear_cross_entropy(own, shape, reduction, dense, bias):
    rows, features, classes = shape
    generator = torch.Generator().manual_seed(1)
    draw = lambda *shape: torch.randn(shape, generator=generator, requires_grad=True)  # noqa: E731
    tensors = [draw(rows, features), draw(classes, features), draw(classes) if bias else None]
    if dense:
        target = torch.rand(rows, classes, generator=generator).softmax(1)
    else:
        target = torch.randint(classes, (rows,), generator=generator)
        target[3] = -100

    def call(function, x, w, b):
        if function is xent.torch.linear_cross_entropy:
            return function(x, w, target, linear_bias=b, reduction=reduction, label_smoothing=0.1)
        return torch_cross_entropy(F.linear(x, w, b), target, reduction=reduction, label_smoothing=0.1)

    # Products of f32 are added in another order.
    same(both(xent.torch.linear_cross_entropy, None, tensors, call), rtol=2e-4, atol=2e-4)
    assert own == {"xent": 1, "torch": 0}


@pytest.mark.parametrize("dtype", HALVES, ids=str)
@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
@pytest.mark.parametrize("dense", [False, True])
@pytest.mark.parametrize("bias", [False, True])
def test_linear_cross_entropy_of_16_bits(own, dtype, reduction, dense, bias):
    rows, features, classes = 30, 16, 2000
    generator = torch.Generator().manual_seed(1)
    draw = lambda *shape: torch.randn(shape, generator=generator).to(dtype).requires_grad_()  # noqa: E731
    tensors = [draw(rows, features), draw(classes, features), draw(classes) if bias else None]
    weight = torch.rand(classes, generator=generator).add_(0.5).to(dtype)
    if dense:
        target = torch.rand(rows, classes, generator=generator).softmax(1).to(dtype)
    else:
        target = torch.randint(classes, (rows,), generator=generator)
        target[3] = -100

    def call(function, x, w, b):
        options = {"reduction": reduction, "label_smoothing": 0.1}
        if function is xent.torch.linear_cross_entropy:
            return function(x, w, target, linear_bias=b, weight=weight, **options)
        x, w, b, t, of_classes = (t.double() if t is not None and t.is_floating_point() else t for t in (x, w, b, target, weight))
        return torch_cross_entropy(F.linear(x, w, b), t, of_classes, **options).to(dtype)

    (loss, gradients), (exact, slopes) = both(xent.torch.linear_cross_entropy, None, tensors, call)
    assert loss.dtype is dtype and all(g.dtype is dtype for g in gradients)
    # Both are rounded to 16 bits once, so that they are at most one number apart, which is at most `eps`. What float32 adds is
    # less than 2e-6 of the largest sum, and shows where terms cancel; and float16 has steps of 6e-8 next to 0.
    unit = torch.finfo(dtype).eps
    for given, expected in ((loss, exact), *zip(gradients, slopes)):
        torch.testing.assert_close(given, expected, rtol=unit, atol=2e-6 * expected.abs().max().item() + 6e-8)
    assert own == {"xent": 1, "torch": 0}


def test_linear_classifiers_under_autocast_and_of_mixtures(own):
    x, w, target = torch.randn(6, 8), torch.randn(5, 8), torch.tensor([0, 1, 2, 3, 4, -100])
    expected = torch_cross_entropy(F.linear(x.bfloat16().float(), w), target)
    for features, weights in ((x.bfloat16(), w), (x.bfloat16(), w.bfloat16()), (x, w.bfloat16())):
        leaves = [features.requires_grad_(), weights.requires_grad_()]
        with torch.autocast("cpu", torch.bfloat16):
            loss = xent.torch.linear_cross_entropy(*leaves, target)
        gradients = torch.autograd.grad(loss, leaves)
        assert loss.dtype is torch.float32 and [g.dtype for g in gradients] == [t.dtype for t in leaves]
        torch.testing.assert_close(loss, expected, rtol=0.05, atol=0.05)
    assert own == {"xent": 3, "torch": 0}
    with pytest.raises(RuntimeError, match="same dtype"):
        xent.torch.linear_cross_entropy(x.bfloat16(), w, target)


def test_the_samples_of_opinfo_for_linear_classifiers(own):
    samples = op_samples("nn.functional.linear_cross_entropy")
    for sample in samples:
        w, target, *others = sample.args
        function = lambda f, x, w, s=sample, t=target, o=others: f(x, w, t, *o, **s.kwargs)  # noqa: E731
        same(
            both(xent.torch.linear_cross_entropy, torch_linear_cross_entropy, [sample.input, w], function),
            rtol=2e-5,
            atol=2e-5,
        )
    assert len(samples) >= 50 and own["xent"] > len(samples) / 4


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_second_derivatives_of_a_linear_classifier(dtype):
    x, w = (torch.randn(n, 3).to(dtype).requires_grad_() for n in (4, 5))
    target = torch.tensor([0, 1, 2, 4])
    found = []
    logits = x.float() @ w.float().T
    for loss in (xent.torch.linear_cross_entropy(x, w, target), torch_cross_entropy(logits, target).to(dtype)):
        gradients = torch.autograd.grad(loss, (x, w), create_graph=True)
        found.append(torch.autograd.grad(sum(g.square().sum() for g in gradients), (x, w)))
    torch.testing.assert_close(found[0], found[1])


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="there is no /proc")
def test_many_steps_leave_nothing_behind():
    from test_process import resident

    x, target = torch.randn(64, 2000, requires_grad=True), torch.randint(2000, (64,))
    w = torch.randn(2000, 16, requires_grad=True)

    def steps(count):
        for _ in range(count):
            xent.torch.cross_entropy(x, target).backward()
            xent.torch.linear_cross_entropy(x[:, :16], w, target).backward()
            xent.torch.cross_entropy(x, target, reduction="none")  # a graph that nobody walks

    steps(30)
    before = resident()
    steps(300)
    # One array of logits, or its gradient, that stays behind in every step would be 150 MB.
    assert resident() - before < 8 << 20
