"""PyTorch's cross-entropies on the CPU by xent: the signatures, semantics and gradients of `torch.nn.functional`.

What xent has no kernel for is left to PyTorch: other devices and types than float32, forward-mode differentiation, `torch.func`,
`torch.compile`, tensor subclasses, and whatever PyTorch refuses, so that its own error is raised.
"""

import contextlib

import torch
import torch.nn.functional as F
from torch.nn import _reduction

from xent import _core

__all__ = ["cross_entropy", "linear_cross_entropy", "patch"]

# As they are before `patch`.
_torch_cross_entropy = F.cross_entropy
_torch_linear_cross_entropy = getattr(F, "linear_cross_entropy", None)

# Raises an error if XENT_BACKEND names none: calls would otherwise be left to PyTorch in silence.
_core.backend()

_PLAIN = (torch.Tensor, torch.nn.Parameter)
_LABELS = (torch.int64, torch.uint8)


def _is_plain(tensor):
    """Whether a tensor is one of float32 in the memory of the CPU, and nothing else."""
    return (
        type(tensor) in _PLAIN
        and tensor.dtype is torch.float32
        and tensor.is_cpu
        and tensor.layout is torch.strided
        and not tensor.is_neg()
    )


def _is_eager():
    """Whether operations are run as they are called: not compiled, transformed, or seen by a mode."""
    return not (
        torch.compiler.is_compiling()
        or torch._C._len_torch_dispatch_stack()
        or torch._C._len_torch_function_stack()
        or torch._C._functorch.peek_interpreter_stack() is not None
        or torch.autograd.forward_ad._current_level >= 0
        or torch._C._get_tracing_state() is not None
    )


def _takes(logits, target, weight, ignore_index, classes):
    """Whether xent takes a call with logits of a shape and their labels, or distributions, of which none can be ignored."""
    if not _is_eager() or type(target) is not torch.Tensor or not target.is_cpu:
        return False
    if weight is not None and not (_is_plain(weight) and not weight.requires_grad and weight.dim() == 1):
        return False
    if target.shape == logits:
        return _is_plain(target) and ignore_index < 0
    return target.dtype in _LABELS and target.shape == logits[:classes] + logits[classes + 1 :]


class _CrossEntropy(torch.autograd.Function):
    """Keeps its inputs and 32 bytes a row."""

    @staticmethod
    def forward(ctx, logits, target, weight, ignore_index, reduction, label_smoothing, axis):
        loss = _loss(logits, reduction, axis)
        ctx.sums = _core.forward(
            logits, target, weight, ignore_index, reduction, label_smoothing, axis, loss, True
        )
        ctx.save_for_backward(logits, target, weight)
        ctx.options = (ignore_index, reduction, label_smoothing)
        ctx.axis = axis
        return loss

    @staticmethod
    def backward(ctx, upstream):
        logits, target, weight = ctx.saved_tensors
        needs_logits, needs_target = ctx.needs_input_grad[:2]
        if torch.is_grad_enabled():
            # The gradient is to be differentiated once more: PyTorch's own can be.
            ignore_index, reduction, label_smoothing = ctx.options
            loss = _torch_cross_entropy(
                logits,
                target,
                weight,
                ignore_index=ignore_index,
                reduction=reduction,
                label_smoothing=label_smoothing,
            )
            wanted = [t for t, needs in ((logits, needs_logits), (target, needs_target)) if needs]
            gradients = list(torch.autograd.grad(loss, wanted, upstream, create_graph=True))
            gradient = gradients.pop(0) if needs_logits else None
            return gradient, gradients.pop() if needs_target else None, None, None, None, None, None
        gradient = _like(logits) if needs_logits else None
        of_target = _like(target) if needs_target else None
        _core.backward(
            logits, target, weight, *ctx.options, ctx.axis, ctx.sums, upstream, gradient, of_target
        )
        return gradient, of_target, None, None, None, None, None


def _like(tensor):
    """The tensor that a gradient is written to: laid out as what it is the gradient of, where that can be written to as it lies."""
    dims = tensor.dim()
    if dims < 4 or (dims == 4 and tensor.is_contiguous(memory_format=torch.channels_last)):
        return torch.empty_like(tensor)
    return torch.empty_like(tensor, memory_format=torch.contiguous_format)


def _loss(logits, reduction, axis):
    """The tensor that a loss is written to."""
    if reduction != "none":
        return torch.empty((), dtype=torch.float32)
    shape = logits.shape
    return torch.empty(shape[:axis] + shape[axis + 1 :], dtype=torch.float32)


def cross_entropy(
    input,
    target,
    weight=None,
    size_average=None,
    ignore_index=-100,
    reduce=None,
    reduction="mean",
    label_smoothing=0.0,
):
    """`torch.nn.functional.cross_entropy`, whose backward pass keeps 32 bytes of each row and no softmax.

    Differs from PyTorch's in that results are rounded once: losses and gradients are within 3 units in the last place; and in that
    classes with a logit of ``-inf`` get no mass by label smoothing, where PyTorch's loss is infinite.
    """
    if size_average is not None or reduce is not None:
        reduction = _reduction.legacy_get_string(size_average, reduce)
    if _is_plain(input) and (dims := input.dim()):
        axis = 0 if dims == 1 else 1
        if _takes(input.shape, target, weight, ignore_index, axis):
            try:
                if torch.is_grad_enabled() and (input.requires_grad or target.requires_grad):
                    return _CrossEntropy.apply(
                        input, target, weight, ignore_index, reduction, label_smoothing, axis
                    )
                loss = _loss(input, reduction, axis)
                _core.forward(
                    input, target, weight, ignore_index, reduction, label_smoothing, axis, loss, False
                )
                return loss
            except (TypeError, ValueError):
                # PyTorch has words of its own for what is wrong, and takes some of it.
                pass
    return _torch_cross_entropy(
        input,
        target,
        weight,
        ignore_index=ignore_index,
        reduction=reduction,
        label_smoothing=label_smoothing,
    )


class _LinearCrossEntropy(torch.autograd.Function):
    """Keeps its inputs and 32 bytes a row: the logits are made once more by the backward pass."""

    @staticmethod
    def forward(ctx, x, weights, bias, target, weight, ignore_index, reduction, label_smoothing):
        loss = _loss(x, reduction, x.dim() - 1)
        tensors = (x, weights, bias, target, weight)
        ctx.options = (ignore_index, reduction, label_smoothing)
        ctx.sums = _core.linear_forward(tensors, *ctx.options, loss)
        ctx.save_for_backward(*tensors)
        return loss

    @staticmethod
    def backward(ctx, upstream):
        tensors = ctx.saved_tensors
        needs = ctx.needs_input_grad[:3]
        if torch.is_grad_enabled():
            x, weights, bias, target, weight = tensors
            ignore_index, reduction, label_smoothing = ctx.options
            loss = _torch_cross_entropy(
                F.linear(x, weights, bias),
                target,
                weight,
                ignore_index=ignore_index,
                reduction=reduction,
                label_smoothing=label_smoothing,
            )
            wanted = [t for t, needed in zip(tensors, needs) if needed]
            found = iter(torch.autograd.grad(loss, wanted, upstream, create_graph=True))
            gradients = [next(found) if needed else None for needed in needs]
        else:
            gradients = [torch.empty_like(t) if needed else None for t, needed in zip(tensors, needs)]
            _core.linear_backward(tensors, *ctx.options, ctx.sums, upstream, gradients)
        return *gradients, None, None, None, None, None


def linear_cross_entropy(
    input,
    linear_weight,
    target,
    *,
    linear_bias=None,
    weight=None,
    reduction="mean",
    ignore_index=None,
    label_smoothing=0.0,
    options=None,
):
    """`torch.nn.functional.linear_cross_entropy` of PyTorch 2.15 without its logits, in tiles that the processor's caches hold.

    `input` is (N, features) or (features), `linear_weight` (classes, features). `options` are PyTorch's, which it leaves alone.
    Weights of more dimensions, and targets that require a gradient, are left to PyTorch.
    """
    tensors = [input, linear_weight] if linear_bias is None else [input, linear_weight, linear_bias]
    if (
        all(_is_plain(t) for t in tensors)
        and input.dim() in (1, 2)
        and linear_weight.dim() == 2
        and input.shape[-1] == linear_weight.shape[1]
        and not (type(target) is torch.Tensor and target.requires_grad)
    ):
        logits = input.shape[:-1] + linear_weight.shape[:1]
        are_labels = type(target) is torch.Tensor and target.shape != logits
        index = -100 if ignore_index is None else ignore_index
        if (are_labels or ignore_index is None) and _takes(logits, target, weight, index, input.dim() - 1):
            with contextlib.suppress(TypeError, ValueError):
                return _LinearCrossEntropy.apply(
                    input, linear_weight, linear_bias, target, weight, index, reduction, label_smoothing
                )
    keywords = {"weight": weight, "reduction": reduction, "label_smoothing": label_smoothing}
    if _torch_linear_cross_entropy is not None:
        return _torch_linear_cross_entropy(
            input,
            linear_weight,
            target,
            linear_bias=linear_bias,
            ignore_index=ignore_index,
            options=options,
            **keywords,
        )
    index = -100 if ignore_index is None else ignore_index
    return _torch_cross_entropy(F.linear(input, linear_weight, linear_bias), target, ignore_index=index, **keywords)


@contextlib.contextmanager
def patch():
    """Has `torch.nn.functional.cross_entropy`, and by it `torch.nn.CrossEntropyLoss`, be xent's: in a ``with`` statement, or as a
    decorator. It is one function for the whole process, all of its threads."""
    before = F.cross_entropy
    F.cross_entropy = cross_entropy
    try:
        yield
    finally:
        F.cross_entropy = before
