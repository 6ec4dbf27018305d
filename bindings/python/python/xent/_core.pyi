from typing import Any, Literal, Protocol, TypeAlias, final, overload

import numpy as np
from numpy.typing import NDArray

class _DLPack(Protocol):
    def __dlpack__(self, **options: Any) -> Any: ...
    def __dlpack_device__(self) -> tuple[int, int]: ...

# With DLPack or the buffer protocol; the latter cannot be named before Python 3.12. Floats are float32, float16 or bfloat16. What is
# given as `out` is what is returned, of whatever type of floats where it has the shape of the logits, and float32 elsewhere.
_Array: TypeAlias = _DLPack | np.ndarray | memoryview | Any
_Reduction: TypeAlias = Literal["none", "sum", "mean"]

__all__ = [
    "Merged",
    "Saved",
    "__version__",
    "after_fork",
    "backend",
    "backward",
    "cross_entropy",
    "forward",
    "linear_backward",
    "linear_cross_entropy",
    "linear_forward",
    "log_softmax",
    "logsumexp",
    "loss_and_grad",
    "sequence_logprobs",
    "shard_forward",
    "shard_gradient",
    "shard_partials",
    "shard_runs",
    "softmax",
    "token_logprobs",
]

__version__: str

def backend() -> str: ...

@overload
def cross_entropy(
    logits: _Array,
    labels: _Array,
    *,
    weight: _Array | None = None,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
    reduction: Literal["sum", "mean"] = "mean",
    z_loss: float = 0.0,
    soft_cap: float | None = None,
    temperature: float = 1.0,
    axis: int = -1,
    out: None = None,
) -> float: ...
@overload
def cross_entropy(
    logits: _Array,
    labels: _Array,
    *,
    weight: _Array | None = None,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
    reduction: Literal["none"],
    z_loss: float = 0.0,
    soft_cap: float | None = None,
    temperature: float = 1.0,
    axis: int = -1,
    out: _Array | None = None,
) -> NDArray[np.float32]: ...

@overload
def loss_and_grad(
    logits: _Array,
    labels: _Array,
    *,
    weight: _Array | None = None,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
    reduction: Literal["sum", "mean"] = "mean",
    z_loss: float = 0.0,
    soft_cap: float | None = None,
    temperature: float = 1.0,
    axis: int = -1,
    out: _Array | None = None,
) -> tuple[float, NDArray[np.float32]]: ...
@overload
def loss_and_grad(
    logits: _Array,
    labels: _Array,
    *,
    weight: _Array | None = None,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
    reduction: Literal["none"],
    z_loss: float = 0.0,
    soft_cap: float | None = None,
    temperature: float = 1.0,
    axis: int = -1,
    out: _Array | None = None,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]: ...

def softmax(
    logits: _Array, *, axis: int = -1, soft_cap: float | None = None, temperature: float = 1.0, out: _Array | None = None
) -> NDArray[np.float32]: ...

def log_softmax(
    logits: _Array, *, axis: int = -1, soft_cap: float | None = None, temperature: float = 1.0, out: _Array | None = None
) -> NDArray[np.float32]: ...

def logsumexp(
    logits: _Array, *, axis: int = -1, soft_cap: float | None = None, temperature: float = 1.0, out: _Array | None = None
) -> NDArray[np.float32]: ...

# What `xent` and `xent.torch` call.

@final
class Saved:
    @property
    def nbytes(self) -> int: ...

@final
class Merged:
    @property
    def nbytes(self) -> int: ...

_Place: TypeAlias = tuple[int, int, int, _Reduction, float]

def shard_runs(classes: int) -> int: ...
def shard_partials(logits: _Array, labels: _Array, place: _Place, out: _Array) -> None: ...
def shard_forward(gathered: _Array, labels: _Array, place: _Place, out: _Array) -> Merged: ...
def shard_gradient(
    logits: _Array, labels: _Array, place: _Place, merged: Merged, upstream: _Array, out: _Array
) -> None: ...
def after_fork() -> None: ...
def token_logprobs(
    logits: _Array,
    tokens: _Array | None,
    top_k: int,
    token_ids: _Array | None,
    entropy: bool,
    temperature: float | _Array,
    soft_cap: float | None,
    ignore_index: int | None,
) -> tuple[Any, ...]: ...
def sequence_logprobs(
    logits: _Array,
    tokens: _Array,
    offsets: _Array,
    next_token: bool,
    temperature: float,
    soft_cap: float | None,
    ignore_index: int | None,
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.bool_]]: ...
def linear_cross_entropy(
    x: _Array,
    weights: _Array,
    labels: _Array,
    *,
    bias: _Array | None = None,
    weight: _Array | None = None,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
    reduction: _Reduction = "mean",
    z_loss: float = 0.0,
    soft_cap: float | None = None,
    temperature: float = 1.0,
    gradients: bool = False,
    workspace: int = 67_108_864,
) -> tuple[Any, tuple[Any, Any, Any]]: ...
def forward(
    logits: _Array,
    labels: _Array,
    weight: _Array | None,
    ignore_index: int,
    reduction: _Reduction,
    label_smoothing: float,
    axis: int,
    out: _Array,
    save: bool,
) -> Saved | None: ...
def backward(
    logits: _Array,
    labels: _Array,
    weight: _Array | None,
    ignore_index: int,
    reduction: _Reduction,
    label_smoothing: float,
    axis: int,
    saved: Saved | None,
    upstream: _Array,
    out: _Array | None,
    labels_out: _Array | None,
) -> None: ...
def linear_forward(
    tensors: tuple[_Array, _Array, _Array | None, _Array, _Array | None],
    ignore_index: int,
    reduction: _Reduction,
    label_smoothing: float,
    out: _Array,
) -> Saved: ...
def linear_backward(
    tensors: tuple[_Array, _Array, _Array | None, _Array, _Array | None],
    ignore_index: int,
    reduction: _Reduction,
    label_smoothing: float,
    saved: Saved,
    upstream: _Array,
    out: list[_Array | None],
) -> None: ...
