"""Augmentation of a picture together with its mask; which pixels it takes is worked out in `pair_geometry`, colours in `pair_colours`."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from keras_resnet.layers.configured import check_count, check_number, is_count
from keras_resnet.learning.pair_colours import Colours, check_span
from keras_resnet.learning.pair_geometry import coordinates, displacement, linear, nearest, outside, turned
from keras_resnet.learning.pair_shapes import check_fits, check_pair, generator
from keras_resnet.vision.host_arrays import as_host_array

WHERE_ASKED = ("low_resolution", "inverted_gamma")  # the others draw whether they are asked for or not
CHANCES = ("scale", "rotation", "elastic", "brightness", "contrast", "gamma", "noise", "blur", *WHERE_ASKED)


class PairAugmentation:
    """Changes a picture and its mask in the same random way: `image, mask = augment(image, mask)`.

    ```python
    augment = keras_resnet.learning.PairAugmentation(
        crop=256, foreground=0.33, flip=True, scale=(0.7, 1.4), rotation=15, brightness=0.2, contrast=0.25, gamma=(0.7, 1.5), chance=0.2
    )
    image, mask = augment(image, mask, seed=3)
    ```

    It works on NumPy, so in any loader: call it in a `torch.utils.data.Dataset`, and in `tf.data` by
    `dataset.map(lambda image, mask: tf.numpy_function(augment, (image, mask), (image.dtype, mask.dtype)))`, after which the shapes
    have to be set again. `Pairs` calls it itself.

    Scale, rotation and elastic deformation are one step: the picture is read once, linearly, the mask at the nearest pixel. Then crop and
    flips, then the colours: blur, low resolution, inverted gamma, gamma, contrast, brightness and noise, in this order. Masks keep their
    type and get no labels but `outside_label`, where there is no picture.

    Args:
        crop: sides of what comes out, in pixels; an integer for all axes; `None` for the picture's own.
        foreground: chance that the crop is laid so that it holds a pixel of a label drawn from those in the mask but `background` and
            `ignore_label`, unless elastic deformation moves it out; nnU-Net's is 0.33.
        flip: whether to mirror along each axis half of the time; or the axes, of which 0 is the picture's first.
        scale: least and largest factor of the size of things; factors and their inverses are alike likely.
        rotation: largest angle in degrees, either way; of volumes in the planes of the axes (0, 1), (0, 2) and (1, 2), one for each or
            one for all.
        elastic: standard deviation in pixels of random displacements, with a cubic spline between them. Up to a tenth of
            `elastic_spacing` nothing folds over.
        elastic_spacing: pixels from one displacement to the next.
        brightness: largest change, as part of the range of values; or least and largest factor of the values.
        contrast: largest change of the factor about each channel's mean.
        gamma: least and largest exponent of the values between the ends of their range.
        noise: largest standard deviation of normal noise, as part of the range of values; or the least and the largest, in the unit of
            the values.
        blur: largest standard deviation in pixels of a Gaussian kernel; or the least and the largest.
        low_resolution: least and largest part, up to 1, of the pixels of each side that the picture is read at, and enlarged from again.
        inverted_gamma: as gamma, of the values counted down from the upper end of their range.
        keep_statistics: whether contrast cuts values at each channel's ends, and a gamma gives the mean and the standard deviation back.
        per_channel: whether each channel has its own numbers of all these but noise, and gamma the range of values that this has by then.
        channel_chance: with that, how often blur and low resolution then happen to a channel.
        chance: how often each of these from `scale` to `inverted_gamma` happens: a number for all, or numbers by name; 0.5 for names left
            out.
        ignore_label: label of pixels that do not count.
        outside_label: label of pixels that come from outside the picture; `None` for `ignore_label`.
        background: the label that is no foreground.
        fill: value of pixels from outside in the image.

    The range of values is 0 to 255 for uint8, else that of the picture itself. Pictures keep their type; whole numbers are rounded.

    Input shape: `(height, width, channels)` with a mask `(height, width)` or `(height, width, 1)`; volumes with a depth in front.
    Output shape: the same, with the sides of `crop`; new arrays.

    Raises:
        ValueError: at an argument outside what is listed; at the call, at an image and a mask that are no pair.

    Source: Ronneberger et al. 2015, arXiv:1505.04597, section 3.1, for elastic deformation from a coarse grid; Isensee et al. 2021,
    doi:10.1038/s41592-020-01008-z, for ranges and for crops with foreground.
    """

    def __init__(
        self,
        *,
        crop: int | Sequence[int] | None = None,
        foreground: float = 0.0,
        flip: bool | Sequence[int] = False,
        scale: Sequence[float] | None = None,
        rotation: float | Sequence[float] = 0.0,
        elastic: float = 0.0,
        elastic_spacing: int = 64,
        brightness: float | Sequence[float] = 0.0,
        contrast: float = 0.0,
        gamma: Sequence[float] | None = None,
        noise: float | Sequence[float] = 0.0,
        blur: float | Sequence[float] = 0.0,
        low_resolution: Sequence[float] | None = None,
        inverted_gamma: Sequence[float] | None = None,
        keep_statistics: bool = False,
        per_channel: bool = False,
        channel_chance: float = 1.0,
        chance: float | Mapping[str, float] = 0.5,
        ignore_label: int = 255,
        outside_label: int | None = None,
        background: int = 0,
        fill: float = 0.0,
    ):
        if crop is not None and not is_count(crop):
            _check_sequence("crop", crop, (2, 3), all(map(is_count, crop)) if isinstance(crop, (tuple, list)) else False)
        if not isinstance(flip, (bool, np.bool_)):
            axes = isinstance(flip, (tuple, list)) and set(flip) <= {0, 1, 2} and len(set(flip)) == len(flip)
            _check_sequence("flip", flip, (0, 1, 2, 3), axes)
        check_span("scale", scale)
        for angle in rotation if isinstance(rotation, (tuple, list)) else (rotation,):
            check_number("rotation", angle, 0)
        if isinstance(rotation, (tuple, list)):
            _check_sequence("rotation", rotation, (3,), True)
        check_count("elastic_spacing", elastic_spacing)
        check_number("elastic", elastic, 0)
        check_number("fill", fill)
        self.outside_name = "ignore_label" if outside_label is None else "outside_label"
        self.outside_label = ignore_label if outside_label is None else outside_label
        for name, label in (("ignore_label", ignore_label), (self.outside_name, self.outside_label), ("background", background)):
            if isinstance(label, bool) or not hasattr(label, "__index__"):
                raise ValueError(f"`{name}` must be an integer. Received: {name}={label!r}.")
        chances = dict(chance) if isinstance(chance, Mapping) else dict.fromkeys(CHANCES, chance)
        if not set(chances) <= set(CHANCES):
            raise ValueError(f"`chance` must be a number, or numbers by the names {', '.join(CHANCES)}. Received: chance={chance!r}.")
        for name, value in {"foreground": foreground, **{f"chance[{name!r}]": value for name, value in chances.items()}}.items():
            check_number(name, value, 0, most=1)
        self.crop, self.foreground = crop, foreground
        self.flip = bool(flip) if isinstance(flip, np.bool_) else flip
        self.scale, self.rotation, self.elastic, self.elastic_spacing = scale, rotation, elastic, int(elastic_spacing)
        self.colours = Colours(
            brightness, contrast, gamma, noise, blur, low_resolution, inverted_gamma, keep_statistics, per_channel, channel_chance
        )
        self.chances = {name: float(chances.get(name, 0.5)) for name in CHANCES}
        self.ignore_label, self.background, self.fill = int(ignore_label), int(background), float(fill)

    def __call__(self, image: Any, mask: Any, seed: Any = None) -> tuple[np.ndarray, np.ndarray]:
        """The changed pair; with the same `seed`, an integer or several, the same each time, and without one another each time."""
        image, mask = as_host_array(image, "image"), as_host_array(mask, "mask")
        check_pair(image, mask)
        random = generator(seed)
        dims = image.ndim - 1
        sizes = self._sizes(image.shape[:-1])
        image, mask, new = self._moved(random, image, mask, sizes)
        axes = tuple(range(dims)) if self.flip is True else tuple(self.flip or ())
        if any(axis >= dims for axis in axes):
            raise ValueError(f"`flip` names the axes {axes}, and a picture has {dims}.")
        mirrored = tuple(axis for axis in axes if random.random() < 0.5)
        image, mask = np.flip(image, mirrored), np.flip(mask, mirrored)
        return self._recoloured(random, image, new), np.array(mask, order="C")

    def _sizes(self, own: tuple[int, ...]) -> tuple[int, ...]:
        if self.crop is None:
            return own
        sizes = (int(self.crop),) * len(own) if is_count(self.crop) else tuple(map(int, self.crop))  # type: ignore
        if len(sizes) != len(own):
            raise ValueError(f"`crop` must be one integer, or one for each of the picture's sides {own}. Received: crop={self.crop!r}.")
        return sizes

    def _happens(self, random: np.random.Generator, name: str, strength: Any) -> bool:
        if strength is None and name in WHERE_ASKED:
            return False
        return bool(random.random() < self.chances[name] and strength is not None and np.any(strength))

    def _moved(
        self, random: np.random.Generator, image: np.ndarray, mask: np.ndarray, sizes: tuple[int, ...]
    ) -> tuple[np.ndarray, np.ndarray, np.dtype]:
        """Image and mask after crop and deformation, and the type that the image is to have."""
        own, dims, wanted = np.array(image.shape[:-1]), image.ndim - 1, image.dtype
        zoom, angles = 1.0, np.zeros(dims * (dims - 1) // 2)
        if self._happens(random, "scale", self.scale):
            least, most = self.scale or (1, 1)
            zoom = math.exp(random.uniform(math.log(least), math.log(most)))
        if self._happens(random, "rotation", self.rotation):
            limits = np.broadcast_to(np.asarray(self.rotation, "float64"), (3,)) if dims == 3 else np.ravel(self.rotation)[:1]
            angles = np.deg2rad(random.uniform(-1, 1, len(angles)) * limits)
        bent = self._happens(random, "elastic", self.elastic)
        still = zoom == 1 and not angles.any() and not bent
        matrix = turned(angles.tolist(), zoom, dims)
        middle = (np.array(sizes) - 1) / 2
        start = np.array([random.integers(0, free + 1) if free > 0 else -(-free // 2) for free in own - sizes])
        pixel = self._foreground_pixel(random, mask.reshape(tuple(own))) if random.random() < self.foreground else None
        if pixel is not None:
            there = np.array([random.integers(0, size) for size in sizes])
            free = np.clip(pixel - matrix @ (there - middle) - middle, np.minimum(0, own - sizes), np.maximum(0, own - sizes))
            # At a border the crop is moved back into the picture, unless it then loses the pixel.
            moved = np.linalg.solve(matrix, pixel - free - middle) + middle
            lost = ((moved < 0) | (moved > np.array(sizes) - 1)).any()
            start = pixel - matrix @ (there - middle) - middle if lost else free
            start = np.rint(start).astype(int) if still else start
        if (still and ((start < 0) | (start + sizes > own)).any()) or not still:
            check_fits(self.outside_name, self.outside_label, mask)
        if still:
            return *self._cropped(image, mask, start, sizes), wanted
        places = coordinates(sizes, start + middle, matrix)
        if bent:
            places = [place + shift for place, shift in zip(places, displacement(random, sizes, self.elastic, self.elastic_spacing))]
        away = outside(own.tolist(), places)
        image, mask = linear(image, places), nearest(mask, places)
        image[away], mask[away] = self.fill, self.outside_label
        return image, mask, wanted

    def _foreground_pixel(self, random: np.random.Generator, mask: np.ndarray) -> np.ndarray | None:
        labels = np.flatnonzero(np.bincount(mask.ravel())) if mask.dtype in (np.uint8, np.bool_) else np.unique(mask)
        labels = labels[(labels != self.background) & (labels != self.ignore_label)]
        if not len(labels):
            return None
        found = np.flatnonzero(mask == random.choice(labels))
        return np.array(np.unravel_index(int(random.choice(found)), mask.shape))

    def _cropped(self, image: np.ndarray, mask: np.ndarray, start: np.ndarray, sizes: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
        """Pixels as they are, with `fill` and `outside_label` where there are none."""
        source = tuple(slice(max(0, at), max(0, at + size)) for at, size in zip(start, sizes, strict=True))
        margins = [(max(0, -at), max(0, at + size - have)) for at, size, have in zip(start.tolist(), sizes, image.shape, strict=False)]
        image, mask = image[source], mask[source]
        if any(map(any, margins)):
            image = np.pad(image, [*margins, (0, 0)], constant_values=_as_type(np.array(self.fill), image.dtype))
            mask = np.pad(mask, margins + [(0, 0)] * (mask.ndim - len(sizes)), constant_values=self.outside_label)
        return image, mask

    def _recoloured(self, random: np.random.Generator, image: np.ndarray, wanted: np.dtype) -> np.ndarray:
        chosen = [name for name in CHANCES[3:] if self._happens(random, name, getattr(self.colours, name))]
        if chosen:
            x = np.array(image, "float32", order="C")
            low, high = (0.0, 255.0) if wanted == np.uint8 else (float(x.min()), float(x.max()))
            image = self.colours.changed(random, x, low, high, chosen)
        return _as_type(image, wanted)


def _as_type(values: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """A copy in another type; of whole numbers the nearest ones that it has."""
    if dtype != values.dtype and dtype.kind in "uib":
        limits = (0, 1) if dtype.kind == "b" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
        values = np.clip(np.rint(values), *limits)
    return np.array(values, dtype, order="C")


def _check_sequence(name: str, value: Any, lengths: tuple[int, ...], right: bool) -> None:
    """Raises unless `value` is a tuple or list of one of these lengths, and `right`."""
    if not isinstance(value, (tuple, list)) or len(value) not in lengths or not right:
        meaning = {
            "crop": "an integer of at least 1, two or three of them, or None",
            "flip": "True, False, or different axes of 0, 1 and 2",
            "rotation": "a number of degrees from 0, or for volumes three of them",
        }[name]
        raise ValueError(f"`{name}` must be {meaning}. Received: {name}={value!r}.")
