"""PyTorch's cross-entropies on the CPU by xent: the signatures, semantics and gradients of `torch.nn.functional`.

What xent has no kernel for is left to PyTorch: other devices, other types than float32, bfloat16 and float16, forward-mode differentiation, `torch.func`,
`torch.compile`, tensor subclasses, and whatever PyTorch refuses, so that its own error is raised.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch.nn import _reduction

from xent import _core

__all__ = ["cross_entropy", "linear_cross_entropy", "patch", "vocab_parallel_cross_entropy"]

# As they are before `patch`.
_torch_cross_entropy = F.cross_entropy
_torch_linear_cross_entropy = getattr(F, "linear_cross_entropy", None)

# Raises an error if XENT_BACKEND names none: calls would otherwise be left to PyTorch in silence.
_core.backend()

_PLAIN = (torch.Tensor, torch.nn.Parameter)
_FLOATS = (torch.float32, torch.bfloat16, torch.float16)
_LABELS = (torch.int64, torch.uint8)


def _is_plain(tensor):
    """Whether a tensor is one of floats of 32 or 16 bits in the memory of the CPU, and nothing else."""
    return (
        type(tensor) in _PLAIN
        and tensor.dtype in _FLOATS
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


def _takes(target, weight, ignore_index, dtype):
    """Whether xent takes labels, or distributions, of which none can be ignored, and the weights of classes. Shapes are its own concern.

    Floats are of the type of the logits: only under autocast, where all of them become float32, does PyTorch take others.
    """

    def is_taken(floats):
        return _is_plain(floats) and (floats.dtype is dtype or torch.is_autocast_enabled("cpu"))

    if weight is not None and not (is_taken(weight) and not weight.requires_grad):
        return False
    if type(target) is torch.Tensor and target.dtype in _LABELS:
        return target.is_cpu
    return is_taken(target) and ignore_index < 0


# From so many classes on 32 bytes of each row are kept. Shorter rows are summed once more, which takes less time.
_SAVED_FROM = 4096


class _CrossEntropy(torch.autograd.Function):
    """Keeps its inputs, and 32 bytes of each row that is long."""

    @staticmethod
    def forward(ctx, logits, target, weight, options):
        loss = _loss(logits, options[1], options[3])
        is_long = logits.shape[options[3]] >= _SAVED_FROM
        ctx.sums = _core.forward(logits, target, weight, *options, loss, is_long)
        ctx.save_for_backward(logits, target, weight)
        ctx.options = options
        return _in_type_of(logits, loss)

    @staticmethod
    def backward(ctx, upstream):
        logits, target, weight = ctx.saved_tensors
        needs_logits, needs_target = ctx.needs_input_grad[:2]
        if torch.is_grad_enabled():
            # The gradient is to be differentiated once more: PyTorch's own can be.
            loss = _torch_loss(*map(_widened, (logits, target, weight)), *ctx.options[:3])
            wanted = [t for t, needs in ((logits, needs_logits), (target, needs_target)) if needs]
            gradients = list(torch.autograd.grad(loss, wanted, upstream.float(), create_graph=True))
            gradient = gradients.pop(0) if needs_logits else None
            return gradient, gradients.pop() if needs_target else None, None, None
        gradient = _like(logits) if needs_logits else None
        of_target = _like(target) if needs_target else None
        _core.backward(logits, target, weight, *ctx.options, ctx.sums, upstream, gradient, of_target)
        return gradient, of_target, None, None


def _torch_loss(logits, target, weight, ignore_index, reduction, label_smoothing):
    """PyTorch's own loss."""
    return _torch_cross_entropy(
        logits, target, weight, ignore_index=ignore_index, reduction=reduction, label_smoothing=label_smoothing
    )


def _widened(tensor):
    """Floats as float32, in which the gradient is computed here."""
    return tensor.float() if tensor is not None and tensor.is_floating_point() else tensor


def _like(tensor):
    """The tensor that a gradient is written to: laid out as what it is the gradient of, where that can be written to as it lies."""
    dims = tensor.dim()
    if dims < 4 or (dims == 4 and tensor.is_contiguous(memory_format=torch.channels_last)):
        return torch.empty_like(tensor)
    return torch.empty_like(tensor, memory_format=torch.contiguous_format)


def _loss(logits, reduction, axis):
    """The tensor that a loss is written to, whatever the type of the logits."""
    if reduction != "none":
        return torch.empty((), dtype=torch.float32)
    shape = logits.shape
    return torch.empty(shape[:axis] + shape[axis + 1 :], dtype=torch.float32)


def _in_type_of(logits, loss):
    """The loss, rounded to the type that PyTorch's has: that of the logits, or float32 under autocast."""
    return loss if torch.is_autocast_enabled("cpu") else loss.to(logits.dtype)


def cross_entropy(
    input: torch.Tensor,
    target: torch.Tensor,
    weight: torch.Tensor | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> torch.Tensor:
    """`torch.nn.functional.cross_entropy`, whose backward pass needs at most 32 bytes of each row, and no softmax.

    Differs from PyTorch's in that results are rounded once: losses and gradients are within 3 units in the last place, and those of
    bfloat16 and float16 are the float32 ones, rounded to the nearest number; and in that
    classes with a logit of ``-inf`` get no mass by label smoothing, where PyTorch's loss is infinite.
    """
    if size_average is not None or reduce is not None:
        reduction = _reduction.legacy_get_string(size_average, reduce)
    if _is_eager() and _is_plain(input) and _takes(target, weight, ignore_index, input.dtype) and (dims := input.dim()):
        options = (ignore_index, reduction, label_smoothing, 0 if dims == 1 else 1)
        # PyTorch has words of its own for what is wrong, and takes some of it.
        try:
            if torch.is_grad_enabled() and (input.requires_grad or target.requires_grad):
                return _CrossEntropy.apply(input, target, weight, options)
            loss = _loss(input, reduction, options[3])
            _core.forward(input, target, weight, *options, loss, False)
            return _in_type_of(input, loss)
        except (TypeError, ValueError):
            pass
    return _torch_loss(input, target, weight, ignore_index, reduction, label_smoothing)


class _LinearCrossEntropy(torch.autograd.Function):
    """Keeps its inputs and 32 bytes a row. The backward pass makes the logits once more, and float32 of inputs of 16 bits."""

    @staticmethod
    def forward(ctx, x, weights, bias, target, weight, options):
        loss = _loss(x, options[1], x.dim() - 1)
        tensors = (x, weights, bias, target, weight)
        ctx.sums = _core.linear_forward(tuple(map(_widened, tensors)), *options, loss)
        ctx.save_for_backward(*tensors)
        ctx.options = options
        return _in_type_of(x, loss)

    @staticmethod
    def backward(ctx, upstream):
        tensors = ctx.saved_tensors
        needs = ctx.needs_input_grad[:3]
        wide, upstream = tuple(map(_widened, tensors)), upstream.float()
        if torch.is_grad_enabled():
            loss = _torch_loss(F.linear(*wide[:3]), *wide[3:], *ctx.options)
            wanted = [t for t, needed in zip(tensors, needs) if needed]
            found = iter(torch.autograd.grad(loss, wanted, upstream, create_graph=True))
            gradients = [next(found) if needed else None for needed in needs]
        else:
            gradients = [torch.empty_like(t) if needed else None for t, needed in zip(wide, needs)]
            _core.linear_backward(wide, *ctx.options, ctx.sums, upstream, gradients)
            gradients = [g if g is None else g.to(t.dtype) for g, t in zip(gradients, tensors)]
        return *gradients, None, None, None


def linear_cross_entropy(
    input: torch.Tensor,
    linear_weight: torch.Tensor,
    target: torch.Tensor,
    *,
    linear_bias: torch.Tensor | None = None,
    weight: torch.Tensor | None = None,
    reduction: str = "mean",
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
    options: Any = None,
) -> torch.Tensor:
    """`torch.nn.functional.linear_cross_entropy` of PyTorch 2.15 without its logits, in tiles that the processor's caches hold.

    `input` is (N, features) or (features), `linear_weight` (classes, features). `options` are PyTorch's, which it leaves alone.
    Floats of 16 bits are copied to float32 while a pass runs; the loss and the gradients are rounded once, to the types that
    PyTorch's have. Weights of more dimensions, and targets that require a gradient, are left to PyTorch.
    """
    tensors = [input, linear_weight] if linear_bias is None else [input, linear_weight, linear_bias]
    if (
        _is_eager()
        and all(_is_plain(t) and (t.dtype is input.dtype or torch.is_autocast_enabled("cpu")) for t in tensors)
        and input.dim() in (1, 2)
        and linear_weight.dim() == 2
        and input.shape[-1] == linear_weight.shape[1]
        and not (type(target) is torch.Tensor and target.requires_grad)
    ):
        index = -100 if ignore_index is None else ignore_index
        # Where there are distributions PyTorch refuses every index.
        is_refused = ignore_index is not None and type(target) is torch.Tensor and target.is_floating_point()
        if not is_refused and _takes(target, weight, index, input.dtype):
            with contextlib.suppress(TypeError, ValueError):
                options_of_loss = (index, reduction, label_smoothing)
                return _LinearCrossEntropy.apply(
                    input, linear_weight, linear_bias, target, weight, options_of_loss
                )
    if _torch_linear_cross_entropy is not None:
        return _torch_linear_cross_entropy(
            input,
            linear_weight,
            target,
            linear_bias=linear_bias,
            weight=weight,
            reduction=reduction,
            ignore_index=ignore_index,
            label_smoothing=label_smoothing,
            options=options,
        )
    logits, index = F.linear(input, linear_weight, linear_bias), -100 if ignore_index is None else ignore_index
    return _torch_loss(logits, target, weight, index, reduction, label_smoothing)


class _VocabParallelCrossEntropy(torch.autograd.Function):
    """Exchanges and keeps 32 bytes of each row."""

    @staticmethod
    def forward(ctx, logits, target, place, runs, group):
        own = torch.empty((runs, target.numel(), 4), dtype=torch.int64)
        _core.shard_partials(logits, target, place, own)
        ranks = torch.distributed.get_world_size(group)
        gathered = own.new_empty((ranks * runs, target.numel(), 4))
        torch.distributed.all_gather_into_tensor(gathered, own, group=group)
        loss = _loss(logits, place[3], logits.dim() - 1)
        ctx.merged = _core.shard_forward(gathered, target, place, loss)
        ctx.save_for_backward(logits, target)
        ctx.place = place
        return _in_type_of(logits, loss)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, upstream):
        logits, target = ctx.saved_tensors
        gradient = torch.empty_like(logits, memory_format=torch.contiguous_format)
        _core.shard_gradient(logits, target, ctx.place, ctx.merged, upstream, gradient)
        return gradient, None, None, None, None


def vocab_parallel_cross_entropy(
    logits: torch.Tensor,
    target: torch.Tensor,
    group: torch.distributed.ProcessGroup | None = None,
    *,
    class_offset: int | None = None,
    total_classes: int | None = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> torch.Tensor:
    """The cross-entropy of rows whose classes are shared by the processes of a group of `torch.distributed`, such as one of gloo.

    `logits` (..., classes of this rank) are floats of 32 or 16 bits in the memory of the CPU, `target` (...) classes of all ranks, the same on
    all of them: distributions over the classes are a `TypeError`. Ranks have equally many classes in their order, unless `class_offset` and `total_classes` say which are here. There is one
    all-gather, of 32 bytes for each row and each 16,384 classes of a rank; all ranks then have the loss, and the backward pass
    gives each the gradient of its logits without another message. Where ranks have a multiple of 16,384 classes, or the last has
    fewer, losses and gradients have the bits of `cross_entropy` with all classes in one process.

    Differentiates once. Megatron-LM and others take three all-reduces for the same.
    """
    if not (_is_eager() and _is_plain(logits) and logits.dim()):
        raise TypeError(
            "the logits are no tensor of float32, bfloat16 or float16 in the memory of the CPU, outside of transforms; expected one"
        )
    if type(target) is torch.Tensor and target.is_floating_point():
        raise TypeError(
            f"the target is of {str(target.dtype).removeprefix('torch.')}; expected integers, the class of each row among those of all "
            "ranks: distributions over classes that ranks share are not supported"
        )
    classes = logits.shape[-1]
    # Where ranks may have unequal numbers of classes they still send equally much.
    runs = _core.shard_runs(classes) if class_offset is None and total_classes is None else 1
    if class_offset is None:
        class_offset = torch.distributed.get_rank(group) * classes
    if total_classes is None:
        total_classes = torch.distributed.get_world_size(group) * classes
    place = (class_offset, total_classes, ignore_index, reduction, label_smoothing)
    return _VocabParallelCrossEntropy.apply(logits, target, place, runs, group)


@contextlib.contextmanager
def patch() -> Iterator[None]:
    """Has `torch.nn.functional.cross_entropy`, and by it `torch.nn.CrossEntropyLoss`, be xent's: in a ``with`` statement, or as a
    decorator. It is one function for the whole process, all of its threads."""
    before = F.cross_entropy
    F.cross_entropy = cross_entropy
    try:
        yield
    finally:
        F.cross_entropy = before
