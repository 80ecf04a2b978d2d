"""The one error for images that a network is too deep for, and where it is raised."""

from typing import Any

import keras


class SizedLayer(keras.layers.Layer):
    """A layer with a `check_size` of the shape of its images, which is asked before Keras runs it and wraps what it raises."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        shape = getattr(args[0] if args else kwargs.get("inputs"), "shape", None)
        if isinstance(shape, tuple) and len(shape) == 4:
            self.check_size(shape)
        return super().__call__(*args, **kwargs)

    def check_size(self, shape: tuple) -> None:
        """Raises where images of this shape, with the batch, are too small."""
        raise NotImplementedError("A layer that takes images says here which are too small for it.")


def check_image_size(shape: tuple, data_format: str, minimum_size: int) -> None:
    """Raises where images of this shape, with the batch, are smaller than `minimum_size` pixels a side."""
    sizes = tuple(shape[2:4]) if data_format == "channels_first" else tuple(shape[1:3])
    if any(isinstance(size, int) and size < minimum_size for size in sizes):
        raise ValueError(
            f"Images of {sizes[0]}x{sizes[1]} pixels ({data_format}, from the shape {tuple(shape)}) are too small: this network takes "
            f"{minimum_size}x{minimum_size} or larger. Resize them, check the order of `input_shape`"
            + (", or use a network for small images, such as resnet20." if minimum_size > 4 else ".")
        )
