"""From pictures to what a network was trained on: the layer, and its settings for each of the published weights."""

import dataclasses
import difflib
import functools
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np

from keras_resnet.layers.configured import ConfiguredLayer, check_choice, check_flag, is_count
from keras_resnet.models.checkpoint_row import FIELDS
from keras_resnet.vision.host_arrays import as_host_array
from keras_resnet.vision.pillow_pictures import as_rgb
from keras_resnet.vision.resizing import REACH, resize
from keras_resnet.weights import catalogue

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
CAFFE_MEAN = (103.939, 116.779, 123.68)  # blue, green, red
TYPES = ("uint8", "int32", "int64", "float16", "bfloat16", "float32", "float64")


@keras.saving.register_keras_serializable("keras_resnet")
class Preprocessing(ConfiguredLayer):
    """Pictures of any size to a batch for a network: `Preprocessing(224)(pictures)` resizes, crops and normalizes them.

    With `s = floor(size / crop)`, the picture is resized to `s` pixels and its middle `size` pixels are taken:

    ```
    crop_mode   resized to                             then
    center      shorter side s, aspect ratio kept      cropped
    squash      both sides s                           cropped
    border      longer side s, aspect ratio kept       cropped or, with `mean` around it, padded
    ```

    Pixels of whole numbers are rounded after each pass over the picture and give what timm, torchvision and Pillow give, the same on every
    backend. The values become `(x / 255 - mean) / std` in the mode "torch", `x / 127.5 - 1` in "tf", and in "caffe" blue, green and red
    without their means, not scaled.

    Args:
        size: height and width that come out, in pixels; one number for a square.
        crop: part of the resized side that is left, above 0 and at most 1.
        crop_mode: `"center"`, `"squash"` or `"border"`.
        interpolation: `"bilinear"` or `"bicubic"`, with Pillow's kernels.
        antialias: whether the kernel widens where the picture shrinks, as Pillow's always does.
        mean: of red, green and blue in 0..1; the mode "torch" uses it, and the other modes have their own. Of other numbers of
            channels, each three have these three values.
        std: what they are divided by in the mode "torch".
        mode: `"torch"`, `"tf"` or `"caffe"`.
        data_format: of what comes out, `"channels_last"`, `"channels_first"`, or `None` for Keras's setting.
        dtype: of what comes out; all before is worked out in float32.

    Input shape: channels last, values from 0 to 255, whole or not: `(height, width, channels)`; `(n, height, width, channels)`; or a list
    of single pictures of different sizes, arrays, tensors or Pillow's. A list's pictures are resized on the CPU, one after the other.
    Of Pillow's, grey ones of 16 bits are brought to 8.
    Output shape: `(n, *size, channels)`, or channels first; a single picture is a batch of one, also in `tf.data`.

    Raises:
        ValueError: at an argument outside what is listed, and at what are no pictures.

    Source: timm, `timm/data/transforms_factory.py`; `keras.applications.imagenet_utils` for the modes. Passes go along the rows first as in
    Pillow up to 12; Pillow 13 begins with the columns of some high pictures, where values then differ by 0.2 of 255 on average.
    """

    def __init__(
        self,
        size: int | Sequence[int] = 224,
        crop: float = 0.875,
        crop_mode: str = "center",
        interpolation: str = "bicubic",
        antialias: bool = True,
        mean: Sequence[float] = IMAGENET_MEAN,
        std: Sequence[float] = IMAGENET_STD,
        mode: str = "torch",
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        sides: Any = (size, size) if is_count(size) else size
        if not isinstance(sides, (tuple, list)) or len(sides) != 2 or not all(is_count(side) for side in sides):
            raise ValueError(f"`size` must be an integer of at least 1, or height and width. Received: size={size!r}.")
        size = tuple(int(side) for side in sides)
        if isinstance(crop, bool) or not isinstance(crop, (int, float, np.integer, np.floating)) or not 0 < crop <= 1:
            raise ValueError(f"`crop` is the part of the resized side that is left, above 0 and at most 1. Received: crop={crop!r}.")
        check_choice("crop_mode", crop_mode, ("center", "squash", "border"))
        check_choice("interpolation", interpolation, tuple(REACH))
        check_flag("antialias", antialias)
        check_choice("mode", mode, ("torch", "tf", "caffe"))
        mean, std = _numbers("mean", mean), _numbers("std", std)
        if min(std) <= 0:
            raise ValueError(f"`std` divides, and must be above 0. Received: std={std!r}.")
        self.keep(locals())
        self.autocast = False  # 255 values are more than the narrow types keep apart once they are resized
        self.built = True

    def __call__(self, inputs: Any, **kwargs: Any) -> Any:
        if isinstance(inputs, (tuple, list)):
            return self._normalized(keras.ops.convert_to_tensor(self._resized_each(inputs)))
        if _is_pillow(inputs):
            return self([inputs])
        if not hasattr(inputs, "shape") or not hasattr(inputs, "dtype"):
            raise ValueError(
                f"`Preprocessing` takes an array, a tensor, a picture of Pillow, or a list of them. Received: {type(inputs).__name__}."
            )
        self._check_pictures(inputs, (3, 4))
        if len(inputs.shape) == 3:
            inputs = inputs[None] if isinstance(inputs, np.ndarray) else keras.ops.expand_dims(inputs, 0)
        if isinstance(inputs, np.ndarray) and inputs.dtype.itemsize == 8:
            inputs = inputs.astype("float32" if inputs.dtype.kind == "f" else "int32")  # of wider ones JAX warns
        return super().__call__(inputs, **kwargs)

    def call(self, inputs: Any) -> Any:
        return self._normalized(self._resized(inputs))

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        *batch, _, _, channels = (1, *input_shape) if len(input_shape) == 3 else input_shape
        return (*batch, channels, *self.size) if self.data_format == "channels_first" else (*batch, *self.size, channels)

    def compute_output_spec(self, inputs: Any, training: bool | None = None) -> keras.KerasTensor:
        return keras.KerasTensor(self.compute_output_shape(tuple(inputs.shape)), dtype=self.compute_dtype)

    def _resized_each(self, pictures: Sequence) -> np.ndarray:
        """Pictures of different sizes, by NumPy on every backend: JAX would compile every operation anew for each size."""
        if not pictures:
            raise ValueError("`Preprocessing` got a list without pictures.")
        batch = []
        for picture in pictures:
            if _is_pillow(picture):
                picture = np.asarray(as_rgb(picture))
            if not hasattr(picture, "shape") or not hasattr(picture, "dtype") or keras.utils.is_keras_tensor(picture):
                raise ValueError(
                    "A list of pictures holds arrays, tensors or pictures of Pillow; of paths, open each first. "
                    f"Received in it: {type(picture).__name__}."
                )
            self._check_pictures(picture, (3,))
            batch.append(self._resized(as_host_array(picture)[None]))
        if len({picture.shape for picture in batch}) > 1:
            raise ValueError(
                "All pictures of a list must have the same number of channels. "
                f"Received: {', '.join(str(picture.shape[1]) for picture in batch)}."
            )
        return np.concatenate(batch)

    def _resized(self, pictures: Any) -> Any:
        """`(n, channels, *size)` in float32, 0 to 255."""
        means = {"torch": self.mean, "tf": (0.5,) * 3, "caffe": [value / 255 for value in reversed(CAFFE_MEAN)]}[self.mode]
        fill = _cycled([round(255 * value) for value in means], int(pictures.shape[-1]))  # a tensor where PyTorch traces
        return resize(pictures, self.size, self.crop, self.crop_mode, self.interpolation, self.antialias, fill)

    def _normalized(self, x: Any) -> Any:
        channels = int(x.shape[1])
        if self.mode == "caffe":
            # Blue, green, red in each three channels; what is left over keeps its place.
            order = [i - i % 3 + (2 - i % 3) if i - i % 3 + 3 <= channels else i for i in range(channels)]
            x = keras.ops.take(x, np.asarray(order), axis=1)
        mean, scale = {
            "torch": ([255 * value for value in self.mean], [1 / (255 * value) for value in self.std]),
            "tf": ([127.5], [1 / 127.5]),
            "caffe": (CAFFE_MEAN, [1.0]),
        }[self.mode]
        x = keras.ops.subtract(x, _cycled(mean, channels).reshape(-1, 1, 1))
        x = keras.ops.multiply(x, _cycled(scale, channels).reshape(-1, 1, 1))
        x = keras.ops.cast(x, self.compute_dtype)
        return x if self.data_format == "channels_first" else keras.ops.transpose(x, (0, 2, 3, 1))

    def _check_pictures(self, pictures: Any, ranks: tuple[int, ...]) -> None:
        """Raises where an array or tensor cannot be pictures, one for the rank 3 and a batch for the rank 4."""
        if getattr(pictures.shape, "rank", 0) is None:
            raise ValueError(
                "`Preprocessing` got a tensor of unknown rank. Give it a shape, such as "
                "tf.io.decode_image(..., channels=3, expand_animations=False) has."
            )
        shape = tuple(pictures.shape)
        dtype = keras.backend.standardize_dtype(pictures.dtype)
        if len(shape) not in ranks or shape[-1] is None or 0 in shape:
            batch = " or (n, height, width, channels)" if 4 in ranks else ""
            raise ValueError(
                f"A picture has the shape (height, width, channels){batch}, of which the channels must be known and none be 0. "
                f"Received: shape={shape}." + (" For a grey one pass picture[..., None]." if len(shape) == 2 else "")
            )
        if shape[-1] > 16 and shape[-3] in (1, 3):
            raise ValueError(
                "`Preprocessing` takes pictures with their channels last, whatever `data_format` comes out. "
                f"Received: shape={shape}; move the channels first."
            )
        if dtype not in TYPES:
            raise ValueError(f"Pictures hold numbers from 0 to 255, of the types {', '.join(TYPES)}. Received: dtype={dtype}.")


def preprocessing(model: keras.Model | str, test_size: bool = False, **overrides: Any) -> Preprocessing:
    """The layer that makes of pictures what a network's weights were trained on.

    ```python
    images = keras_resnet.preprocessing(model)(pictures)
    ```

    Settings are those of the published weights that the model was built with; else of those that `weights="imagenet"` means for its name;
    else, in the same order, of a network inside the model; else 224 pixels, of which 0.875 are kept, bicubic, and ImageNet's mean, which a
    line on stderr says.

    Args:
        model: a network, a model around one, or the name of published weights, such as `"resnet50.a1_in1k"`. A model of one fixed size
            gets that size.
        test_size: whether to take the larger size at which the published accuracy was measured, where there is one, and its crop.
        **overrides: arguments of `Preprocessing`.

    Raises:
        ValueError: at a name that is not known, a model with several inputs, one around networks that want different pictures, a model of
            another fixed size than `test_size` means, and an argument that `Preprocessing` does not have.
    """
    check_flag("test_size", test_size)
    row, fixed, data_format = _found(model)
    size = overrides.get("size", fixed)
    if row is None:
        settings: dict[str, Any] = {"size": 224}
        _say_guess(getattr(model, "name", ""), tuple(name for name in ("crop", "interpolation", "mean", "std") if name not in overrides))
    else:
        usual, larger = (row["input_size"], row["crop"]), (row["test_input_size"], row["test_crop"])
        at_larger = size in (larger[0], (larger[0],) * 2, [larger[0]] * 2)
        if test_size and larger[0] != usual[0] and size is not None and not at_larger and "crop" not in overrides:
            raise ValueError(
                f"`test_size=True` means pictures of {larger[0]} pixels, cropped for that size; these become {size!r}. Build the network "
                f"with input_shape=({larger[0]}, {larger[0]}, 3) or (None, None, 3), or leave `test_size` out."
            )
        sizes, crop = larger if test_size or (fixed is not None and at_larger and larger[0] != usual[0]) else usual
        settings = {"size": sizes, "crop": crop, **{name: row[name] for name in ("crop_mode", "interpolation", "mean", "std", "mode")}}
    if fixed is not None:
        settings["size"] = fixed
    if data_format is not None:
        settings["data_format"] = data_format
    return Preprocessing(**{**settings, **overrides})


def _found(model: Any) -> tuple[dict | None, tuple | None, str | None]:
    """The row of the catalogue, and the fixed size and data format of a model's images; `None` for what is not known."""
    if isinstance(model, str):
        network, _, tag = model.partition(".")
        names = sorted({row.model for row in catalogue.CATALOGUE.values()})
        if network not in names:
            close = difflib.get_close_matches(network.lower(), names, n=3, cutoff=0.5)
            hint = f" Closest: {', '.join(close)}." if close else ""
            raise ValueError(
                f"No published weights are known of a network {network!r}.{hint} Pass a network itself, or a name such as "
                f"'resnet50.a1_in1k'. Received: model={model!r}."
            )
        return dataclasses.asdict(catalogue.find(network, tag or "imagenet")), None, None
    if isinstance(model, keras.Sequential) and not model.built and model.layers and isinstance(model.layers[0], keras.Model):
        return _found(model.layers[0])  # it has not seen images yet, and what it begins with has a shape
    if not isinstance(model, keras.Model) or not isinstance(getattr(model, "input_shape", None), tuple) or len(model.input_shape) != 4:
        raise ValueError(
            '`model` must be a network that takes one batch of images, or the name of published weights, such as "resnet50.a1_in1k". '
            f"Received: {model if isinstance(model, str) else type(model).__name__}."
        )
    data_format = next((layer.data_format for layer in _layers(model) if hasattr(layer, "data_format")), None)
    size = model.input_shape[2:] if data_format == "channels_first" else model.input_shape[1:3]
    return _row(model), None if None in size else tuple(size), data_format


def _row(model: keras.Model) -> dict | None:
    """The row of a model's weights, or of those of the networks inside, which must agree; `None` where nothing is known."""
    row = getattr(model, "checkpoint", None)
    if row is None and model.name in catalogue.DEFAULTS:
        row = dataclasses.asdict(catalogue.find(model.name, "imagenet"))
    if row is not None:
        return row
    inside = [layer for layer in model.layers if isinstance(layer, keras.Model)]
    found = {layer.name: row for layer in inside if (row := _row(layer)) is not None}
    if len({tuple(row[field] for field in FIELDS) for row in found.values()}) > 1:
        raise ValueError(
            f"The networks in {model.name!r} ({', '.join(found)}) want different pictures, so no one layer can prepare them. Put "
            f"keras_resnet.preprocessing(network) in front of each, or pass the one meant: model.get_layer({next(iter(found))!r})."
        )
    return next(iter(found.values()), None)


@functools.cache
def _say_guess(model_name: str, guessed: tuple[str, ...]) -> None:
    """Once for each model, that nothing is known of how its pictures should be."""
    if guessed and sys.stderr is not None:
        print(
            f"keras_resnet: no published weights are known of {model_name!r}; its pictures are prepared in the usual way for ImageNet. If "
            f"it was trained in another, pass {', '.join(guessed)} to preprocessing().",
            file=sys.stderr,
        )


def _layers(model: keras.Model) -> Iterator[keras.layers.Layer]:
    for layer in model.layers:
        yield from _layers(layer) if isinstance(layer, keras.Model) else (layer,)


def _numbers(name: str, values: Any) -> tuple[float, ...]:
    numbers = tuple(values) if isinstance(values, (tuple, list, np.ndarray)) else ()
    if not numbers or not all(isinstance(value, (int, float, np.integer, np.floating)) and np.isfinite(value) for value in numbers):
        raise ValueError(f"`{name}` must hold a number for each channel. Received: {name}={values!r}.")
    return tuple(float(value) for value in numbers)


def _cycled(values: Sequence[float], channels: int) -> np.ndarray:
    """A value for each channel: these over and over."""
    return np.resize(np.asarray(values, "float32"), channels)


def _is_pillow(picture: Any) -> bool:
    return hasattr(picture, "getbands") and hasattr(picture, "convert")  # without importing Pillow, which nothing else here needs
