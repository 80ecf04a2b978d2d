"""The one error for images that a network is too deep for, and where it is raised."""

from typing import Any

import keras

from keras_resnet.backend.geometry import by


class SizedLayer(keras.layers.Layer):
    """A layer with a `check_size` of the shape of its images, which is asked before Keras runs it and wraps what it raises."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        shape = getattr(args[0] if args else kwargs.get("inputs"), "shape", None)
        if isinstance(shape, tuple) and len(shape) in ((4, 5) if getattr(self, "takes_volumes", False) else (4,)):
            self.check_size(shape)
        return super().__call__(*args, **kwargs)

    def check_size(self, shape: tuple) -> None:
        """Raises where images of this shape, with the batch, are too small."""
        raise NotImplementedError("A layer that takes images says here which are too small for it.")


def check_image_size(shape: tuple, data_format: str, minimum_size: int, instead: str | None = None) -> None:
    """Raises where images or volumes of this shape, with the batch, are smaller than `minimum_size` pixels a side.

    `instead` is what to do where they cannot be larger; `None` for a network for small images.
    """
    sizes = tuple(shape[2:]) if data_format == "channels_first" else tuple(shape[1:-1])
    what = "Volumes" if len(sizes) == 3 else "Images"
    if instead is None:
        instead = "use a network for small images, such as resnet20" if minimum_size > 4 else ""
    if any(isinstance(size, int) and size < minimum_size for size in sizes):
        raise ValueError(
            f"{what} of {by(sizes)} pixels ({data_format}, from the shape {tuple(shape)}) are too small: this network takes "
            f"{by((minimum_size,) * len(sizes))} or larger. Resize them, check the order of `input_shape`"
            + (f", or {instead}." if instead else ".")
        )
