"""The layer that every augmentation is."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_resnet.backend.loaders import without_numbers, worker_seed
from keras_resnet.learning.augmentation.draws import Draws, seed_of


class Augmentation(keras.layers.Layer):
    """Changes a batch of pictures in training, and passes it on as it is otherwise.

    A subclass says in `change(images, draws)` how. It is used as a layer of a model, where it acts in `fit` alone, or on batches before
    they get there: `layer(images, training=True)` goes on in a row of random numbers, `layer.change(images, layer.draws_of(seed, epoch,
    batch))` gives the same for the same numbers. Either way the numbers are the same on every backend.

    In the worker processes of PyTorch's `DataLoader` each worker goes on in a row of its own, another one each epoch; `torch.manual_seed`
    gives them all again. In `tf.data` layers run on the TensorFlow backend alone.

    Args:
        seed: integer from 0 to below 2**31, or `None` for another each time.
        **kwargs: `name`, `dtype` and `trainable` of a Keras layer.

    Raises:
        ValueError: at what is no batch of pictures `(n, height, width, channels)`; within `tf.data` on another backend than TensorFlow.
    """

    def __init__(self, seed: int | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        if seed is not None and (isinstance(seed, bool) or not hasattr(seed, "__index__") or not 0 <= int(seed) < 2**31):
            raise ValueError(f"`seed` must be an integer from 0 to below 2**31, or None. Received: seed={seed!r}.")
        self.seed = None if seed is None else int(seed)
        self.generator = keras.random.SeedGenerator(self.seed)
        self.built = True

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if without_numbers((args, kwargs)):  # before Keras makes tensors of the backend of them
            raise ValueError(
                f"{type(self).__name__} runs in tf.data on the TensorFlow backend alone. Received: tensors of tf.data on "
                f"{keras.backend.backend()}. Augment behind the loader, `layer(batch, training=True)` of each batch of "
                "`data.as_numpy_iterator()`, take `Batches`, or set KERAS_BACKEND=tensorflow. Of pictures with masks "
                "PairAugmentation works on NumPy, so in `tf.numpy_function`."
            )
        return super().__call__(*args, **kwargs)

    def call(self, images: Any, training: bool | None = None) -> Any:
        self.check(images)
        return self.change(images, self._next_draws()) if training else self.still(images)

    def _next_draws(self) -> Draws:
        seed, worker = self.generator.next(), worker_seed()
        if worker is None:
            return Draws(seed)
        # Each process has a copy of the generator, and begins with it anew each epoch.
        return Draws([ops.cast(seed[i], "int32") + own for i, own in enumerate(seed_of([worker]))])

    def change(self, images: Any, draws: Draws) -> Any:
        """The changed batch, with these random numbers."""
        raise NotImplementedError

    def still(self, images: Any) -> Any:
        """What comes out where nothing is to be changed."""
        return images

    def check(self, images: Any) -> None:
        """Raises unless this is a batch of pictures."""
        if len(getattr(images, "shape", ())) != 4:
            raise ValueError(
                f"{type(self).__name__} takes pictures of the shape (n, height, width, channels). "
                f"Received: shape={tuple(getattr(images, 'shape', ()))}."
            )

    @staticmethod
    def draws_of(*numbers: int) -> Draws:
        """Random numbers that depend on these alone, such as a seed, an epoch and the number of a batch."""
        return Draws(seed_of(numbers))

    def compute_output_shape(self, input_shape: Sequence) -> tuple:
        return tuple(input_shape)

    def compute_output_spec(self, images: Any, training: bool | None = None) -> Any:
        self.check(images)
        return keras.KerasTensor(self.compute_output_shape(images.shape), dtype=images.dtype)

    def get_config(self) -> dict:
        return {**super().get_config(), "seed": self.seed}


def count_and_sizes(images: Any) -> tuple[Any, Any, Any]:
    """How many pictures, and their height and width."""
    shape = ops.shape(images)
    return shape[0], shape[1], shape[2]


def as_before(values: Any, images: Any) -> Any:
    """In the type of the pictures that came in; whole numbers are rounded, and stay from 0 to 255."""
    kind = keras.backend.standardize_dtype(images.dtype)
    if "int" in kind:
        values = ops.clip(ops.round(values), 0, 255)
    return ops.cast(values, kind)
