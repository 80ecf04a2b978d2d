"""The one error for images that a network is too deep for."""


def check_image_size(shape: tuple, data_format: str, minimum_size: int) -> None:
    """Raises where images of this shape, with the batch, are smaller than `minimum_size` pixels a side."""
    sizes = tuple(shape[2:4]) if data_format == "channels_first" else tuple(shape[1:3])
    if any(isinstance(size, int) and size < minimum_size for size in sizes):
        raise ValueError(
            f"Images of {sizes[0]}x{sizes[1]} pixels ({data_format}) are too small: this network takes "
            f"{minimum_size}x{minimum_size} or larger. Resize them"
            + (", or use a network for small images, such as resnet20." if minimum_size > 4 else ".")
        )
