"""How much a network costs: parameters, multiply-adds and activations, layer by layer, counted without any arithmetic."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import keras

from keras_resnet import backend
from keras_resnet.backend import counting
from keras_resnet.layers import Residual
from keras_resnet.layers.image_size import SizedLayer
from keras_resnet.models.walk import apply, image_shape, walk

PRODUCTS = ("conv2d", "conv3d", "conv_transpose", "dense")  # those that count as depth


@dataclasses.dataclass(frozen=True)
class LayerProfile:
    """The costs of one layer of the network, for one image; the fields are those of `Profile`."""

    name: str
    output_shape: tuple
    params: int
    macs: int
    macs_with_norms: int
    activations: int
    depth: int
    counted: bool


@dataclasses.dataclass(frozen=True)
class Profile:
    """What `profile` found, for one image.

    Attributes:
        name: of the network.
        input_shape: of the image, without the batch.
        params: trainable parameters.
        macs: multiply-adds of convolutions, dense layers and products of matrices, as torchvision publishes them.
        macs_with_norms: the same with what fvcore, and so timm's tables, count for norms: 2 for each number of a batch normalization,
            5 of a group or layer normalization, 4 of a standardized kernel (5 with gains), 1 of the map whose mean the head takes.
        activations: how many numbers those convolutions, dense layers and products put out.
        depth: convolutions and dense layers one after the other on the longest path, without shortcuts, gates and blurs.
        layers: a `LayerProfile` for each layer, in the order of the graph.
    """

    name: str
    input_shape: tuple[int, ...]
    params: int
    macs: int
    macs_with_norms: int
    activations: int
    depth: int
    layers: tuple[LayerProfile, ...]

    def __str__(self) -> str:
        rows = [("layer", "output shape", "parameters", "MACs", "activations")]
        for layer in self.layers:
            macs = _short(layer.macs) if layer.counted else "unknown"
            rows.append((layer.name, str(layer.output_shape), f"{layer.params:,}", macs, _short(layer.activations)))
        rows.append(("total", "", f"{self.params:,}", _short(self.macs), _short(self.activations)))
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = []
        for row in rows:
            text = [cell.ljust(width) for cell, width in zip(row[:2], widths[:2], strict=True)]
            numbers = [cell.rjust(width) for cell, width in zip(row[2:], widths[2:], strict=True)]
            lines.append("  ".join(text + numbers))
        title = f"{self.name}: one {'image' if len(self.input_shape) < 4 else 'volume'} of {self.input_shape}, depth {self.depth}"
        with_norms = f"{_short(self.macs_with_norms)} MACs where those of norms count, as in timm's tables"
        return "\n".join([title, "", *lines[:-1], "", lines[-1], with_norms])


def _short(number: int) -> str:
    """Three decimals of a unit, a power of a thousand: `4.089 G`."""
    for unit, size in (("G", 10**9), ("M", 10**6), ("k", 10**3)):
        if number >= size:
            return f"{number / size:.3f} {unit}"
    return str(number)


def profile(model: keras.Model, input_shape: Sequence[int] | None = None) -> Profile:
    """Counts parameters, multiply-adds and activations of a network in inference, for one image.

    ```python
    print(keras_resnet.profile(model, input_shape=(224, 224, 3)))
    ```

    Nothing is computed: every layer is only traced, so that even the largest network takes no memory.

    Args:
        model: a network of the zoo, or any functional model made of our layers and of Keras's dense layers, convolutions and norms. A layer
            with weights of whose arithmetic nothing is known is shown as unknown, and counts as none.
        input_shape: of one image or volume, without the batch; `None` for the model's own, where it has one. Sizes may be others than the
            model's own. What a model takes beside the image, such as steps and labels, has the shape it was built with.

    Returns:
        A `Profile`; `print` shows it as a table.

    Raises:
        ValueError: where the size of the image is not known or its channels do not fit, and for a model that is no graph.

    Source: ResNet-50 has 4.089 G in torchvision's table and 4.11 G in timm's; the two conventions differ by the norms.
    """
    rows: list[LayerProfile] = []
    depths: dict[int, int] = {}

    def visit(operation: Any, arguments: list[keras.KerasTensor]) -> Any:
        output, works = _trace(operation, arguments)
        works = works or _of_keras(operation, arguments, output)
        params = sum(math.prod(v.shape) for v in getattr(operation, "trainable_variables", ()))
        macs = sum(work.macs for work in works)
        row = LayerProfile(
            name=operation.name,
            output_shape=tuple(keras.tree.flatten(output)[0].shape[1:]),
            params=params,
            macs=macs,
            macs_with_norms=macs + sum(work.norms for work in works),
            activations=sum(work.outputs for work in works),
            depth=len(operation.branch()) if isinstance(operation, Residual) else sum(w.name in PRODUCTS for w in works),
            counted=bool(works) or params == 0,
        )
        rows.append(row)
        before = max(depths.get(id(tensor), 0) for tensor in keras.tree.flatten(operation.input))
        depths.update((id(tensor), before + row.depth) for tensor in keras.tree.flatten(operation.output))
        return output

    shape = image_shape(model, input_shape)
    for layer in model.layers:
        if isinstance(layer, SizedLayer):  # before Keras traces it, which wraps errors
            layer.check_size((1, *shape))
    walk(model, shape, visit)
    return Profile(
        name=model.name,
        input_shape=shape,
        params=sum(math.prod(v.shape) for v in model.trainable_variables),
        macs=sum(row.macs for row in rows),
        macs_with_norms=sum(row.macs_with_norms for row in rows),
        activations=sum(row.activations for row in rows),
        depth=max(depths.values(), default=0),
        layers=tuple(rows),
    )


class _Traced(keras.Operation):
    """Runs an operation on tensors without values, as Keras does to find a shape, and records its work."""

    def __init__(self, operation: Any, works: list):
        super().__init__()
        self.operation = operation
        self.works = works
        self.error: ValueError | None = None

    def call(self, *arguments: Any) -> Any:
        self.works.clear()  # a framework may trace twice
        try:
            return apply(self.operation, list(arguments))
        except ValueError as error:
            self.error = error
            raise


def _trace(operation: Any, arguments: list) -> tuple[Any, list]:
    """The output of an operation as `KerasTensor`s, and the work recorded while it was traced."""
    with backend.recording() as works:
        traced = _Traced(operation, works)
        try:
            output = traced.compute_output_spec(*arguments)
        except (ValueError, RuntimeError) as error:
            if traced.error is None:
                raise
            raise traced.error from error  # Keras's own says that a shape could not be found, and this one in its middle
    return output, list(works)


def _of_keras(layer: Any, arguments: list, output: Any) -> list[counting.Work]:
    """The work of one of Keras's own layers, by its type; nothing for those that have none or are not known."""
    x, y = arguments[0], output
    if isinstance(layer, keras.layers.Embedding):  # a look-up
        return [counting.Work("table")]
    if isinstance(layer, keras.layers.Dense):
        return [counting.Work("dense", counting.size(y) * layer.kernel.shape[0], counting.size(y))]
    if isinstance(layer, (keras.layers.Conv1DTranspose, keras.layers.Conv2DTranspose, keras.layers.Conv3DTranspose)):
        return [counting.Work("conv2d", counting.size(x) * math.prod(layer.kernel.shape[:-1]), counting.size(y))]
    if isinstance(layer, (keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D)):
        return [counting.Work("conv2d", counting.size(y) * math.prod(layer.kernel.shape[:-2]), counting.size(y))]
    if isinstance(layer, (keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D)):
        return [counting.Work("conv2d", counting.size(y) * math.prod(layer.kernel.shape[:-1]), counting.size(y))]
    if isinstance(layer, keras.layers.BatchNormalization):
        return [counting.Work("batch_norm_inference", norms=2 * counting.size(y))]
    if isinstance(layer, keras.layers.GlobalAveragePooling2D):
        return [counting.Work("global_average_pool2d", norms=counting.size(x))]
    if isinstance(layer, (keras.layers.GroupNormalization, keras.layers.LayerNormalization)):
        return [counting.Work("layer_norm", norms=5 * counting.size(y))]
    return []
