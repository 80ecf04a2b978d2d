"""Floor 0: the operations that decide speed, one implementation a framework, chosen once at import.

Only this folder imports torch, jax or tensorflow. `reference` is the definition of correct; a twin overrides what it does faster.
"""

import contextlib
import importlib
from collections.abc import Callable, Iterator
from typing import Any

from keras_resnet.backend import choice

choice.check()

import keras

from keras_resnet.backend import counting, doubling, geometry, nearest, reference, volumes
from keras_resnet.backend.counting import record, recording

__all__ = [
    "FoldedKernel",
    "add_relu",
    "adopt",
    "average_pool",
    "average_pool2d",
    "average_pool3d",
    "batch_norm_inference",
    "batch_norm_training",
    "blur_pool2d",
    "conv",
    "conv2d",
    "conv3d",
    "compiled_step",
    "conv_norm_inference",
    "conv_transpose",
    "depth_to_space",
    "dense",
    "doubled_conv2d",
    "doubling_pays",
    "geometry",
    "global_average_pool2d",
    "group_norm",
    "inner_format",
    "kept",
    "lamb_step",
    "layer_norm",
    "max_pool",
    "max_pool2d",
    "max_pool3d",
    "pad",
    "prepare_kernel",
    "prepare_optimizer",
    "record",
    "recording",
    "remat",
    "scan",
    "scans",
    "self_attention",
    "sgd_step",
    "squared_distances",
    "standardize_kernel",
    "turn",
    "upsample",
    "upsample2d",
    "upsample3d",
    "use_reference",
]

_TWINS = {"torch", "jax", "tensorflow"}
_twin = importlib.import_module(f"{__name__}.{keras.backend.backend()}") if keras.backend.backend() in _TWINS else reference
# Steps of optimizers for all variables at once; `None` where Keras takes them one by one.
_updates = importlib.import_module(f"{__name__}.torch_updates") if keras.backend.backend() == "torch" else None
_step = importlib.import_module(f"{__name__}.torch_step") if keras.backend.backend() == "torch" else None
_fold = getattr(_twin, "conv_norm_folded", None)
_reference_forced = False


@contextlib.contextmanager
def use_reference() -> Iterator[None]:
    """Runs the plain path, written in `keras.ops`, instead of the backend's fast one.

    ```python
    with keras_resnet.backend.use_reference():
        expected = model(images)
    ```

    For tests and for hunting a difference. What is compiled already (`model.predict`, `jax.jit`, `tf.function`) keeps the path it was
    traced with. Holds for the whole process, all threads included.
    """
    global _reference_forced
    before, _reference_forced = _reference_forced, True
    try:
        yield
    finally:
        _reference_forced = before


def _choose(name: str, fast: Callable | None = None) -> Callable:
    """The operation of that name: the plain one, and `fast` or the twin's."""
    plain = next(getattr(room, name) for room in (reference, volumes, doubling, nearest) if hasattr(room, name))
    fast = fast or getattr(_twin, name, plain)
    count = counting.COUNTS.get(name)
    if fast is plain and count is None:
        return plain

    def operation(*args, **kwargs):
        y = plain(*args, **kwargs) if _reference_forced else fast(*args, **kwargs)
        if counting.open_recording is not None and count is not None:
            record(name, **count(y, *args, **kwargs))
        return y

    operation.__name__ = operation.__qualname__ = name
    operation.__doc__ = plain.__doc__
    return operation


FoldedKernel = getattr(_twin, "FoldedKernel", reference.FoldedKernel)
add_relu = _choose("add_relu")
adopt = getattr(_twin, "adopt", reference.adopt)
average_pool2d = _choose("average_pool2d")
average_pool3d = _choose("average_pool3d")
batch_norm_inference = _choose("batch_norm_inference")
batch_norm_training = _choose("batch_norm_training")
blur_pool2d = _choose("blur_pool2d")
conv2d = _choose("conv2d")
conv3d = _choose("conv3d")
conv_transpose = _choose("conv_transpose")
depth_to_space = _choose("depth_to_space")
dense = _choose("dense")
doubled_conv2d = _choose("doubled_conv2d")
global_average_pool2d = _choose("global_average_pool2d")
group_norm = _choose("group_norm")
inner_format = getattr(_twin, "inner_format", reference.inner_format)
kept = getattr(_twin, "kept", reference.kept)
compiled_step = getattr(_step, "compiled_step", None)
lamb_step = getattr(_updates, "lamb_step", None)
layer_norm = _choose("layer_norm")
squared_distances = _choose("squared_distances", nearest.TWINS.get(keras.backend.backend()))
standardize_kernel = _choose("standardize_kernel")
sgd_step = getattr(_updates, "sgd_step", None)
turn = _choose("turn")
upsample2d = _choose("upsample2d")
upsample3d = _choose("upsample3d")
max_pool2d = _choose("max_pool2d")
max_pool3d = _choose("max_pool3d")
pad = _choose("pad")
prepare_kernel = _choose("prepare_kernel")
prepare_optimizer = _choose("prepare_optimizer")
remat = _choose("remat")
scan = _choose("scan")
scans = hasattr(_twin, "scan")
self_attention = _choose("self_attention")


def _by_rank(of_images: Callable, of_volumes: Callable) -> Callable:
    """One name for the same operation of images and of volumes."""

    def operation(x, *args, **kwargs):
        return (of_images if len(x.shape) == 4 else of_volumes)(x, *args, **kwargs)

    operation.__doc__ = of_images.__doc__
    return operation


average_pool = _by_rank(average_pool2d, average_pool3d)
conv = _by_rank(conv2d, conv3d)
max_pool = _by_rank(max_pool2d, max_pool3d)
upsample = _by_rank(upsample2d, upsample3d)


def doubling_pays(x: Any, others: list, data_format: str) -> bool:
    """Whether `doubled_conv2d` is to be used for these: never while somebody records, who counts the published network's arithmetic."""
    pays = getattr(_twin, "doubling_pays", doubling.doubling_pays)
    return not _reference_forced and counting.open_recording is None and pays(x, others, data_format)


def conv_norm_inference(
    x: Any,
    kernel: Any,
    bias: Any,
    norm: tuple | None,
    strides: geometry.Numbers,
    padding: geometry.Padding,
    dilation: geometry.Numbers,
    data_format: str,
    relu: bool = False,
    add: Any = None,
    memory: Any = None,
    joined: list | None = None,
) -> Any:
    """`relu(norm(conv(x)) + add)` with frozen statistics, which a twin may fold into one kernel.

    Args:
        norm: `(gamma, beta, mean, variance, epsilon)` or `None`.
        relu: whether to end in a ReLU.
        add: a tensor of the output's shape, or `None`.
        memory: where a twin may keep folded kernels, a `FoldedKernel`.
        joined: maps of twice the size of `x`: the convolution is then `doubled_conv2d`, 3x3 at stride 1.
    """
    if len(x.shape) == 4 and memory is not None and _fold is not None and not _reference_forced and counting.open_recording is None:
        if joined is None:
            y = _fold(x, kernel, bias, norm, strides, padding, dilation, data_format, relu, add, memory)
        else:
            y = _twin.doubled_norm_folded(x, joined, kernel, bias, norm, data_format, relu, add, memory)
        if y is not None:
            return y
    if joined is None:
        y = conv(x, kernel, bias, strides, padding, dilation, data_format)
    else:
        y = doubled_conv2d(x, joined, kernel, bias, data_format)
    if norm is not None:
        y = batch_norm_inference(y, *norm, axis=1 if data_format == "channels_first" else -1)
    return add_relu(y, add, relu)
