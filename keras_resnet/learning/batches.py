"""Pictures with classes as batches for `model.fit`, augmented on the device."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from keras import ops

from keras_resnet.backend import feeding
from keras_resnet.backend.compiled import compiled
from keras_resnet.layers.configured import check_count
from keras_resnet.learning.augmentation.crops import RandomResizedCrop
from keras_resnet.learning.augmentation.draws import Draws, seed_of
from keras_resnet.learning.augmentation.layer import Augmentation
from keras_resnet.learning.augmentation.mix import Mix
from keras_resnet.learning.counted_epochs import CountedEpochs
from keras_resnet.learning.parts_of_batches import checked_part, empty_last, part_of
from keras_resnet.learning.sampler import Sampler


class Batches(CountedEpochs):
    """Batches of pictures and classes, augmented anew each epoch.

    ```python
    data = keras_resnet.learning.Batches(images, labels, [keras_resnet.learning.PadAndCrop(4)], batch_size=128)
    start = checkpoint.restore(model)
    data.go_to(start)
    model.fit(data, epochs=100, initial_epoch=start, shuffle=False, callbacks=[checkpoint])
    ```

    A batch depends on `seed`, the epoch and its number alone, and is the same on every backend. It goes to the device as it is, uint8 as
    such, and is augmented there, on JAX and TensorFlow as one compiled function. The order is random already: `fit(shuffle=False)` keeps
    Keras from drawing another one for the batches, by Python's random numbers.

    Args:
        images: `(n, height, width, channels)`, an array or what gives one for an array of indices; if that has `repeated(indices, times)`,
            it is asked by this how each picture looks the nth time, from 0, that it comes.
        labels: as many; whole, or probabilities.
        augment: augmentations in order; a `Mix` among them makes the labels probabilities, for losses of those.
        batch_size, repeats, shuffle, seed, drop_remainder: see `Sampler`.
        part: `(number, parts)`: of each batch the one of so many equal parts, in order, that this has; see `distribute`. What is random in
            augmentation then differs from part to part.
        **kwargs: `workers`, `use_multiprocessing` and `max_queue_size` of `keras.utils.PyDataset`.

    Raises:
        ValueError: at an argument outside what is listed; from a batch, where images that do not say their shape have another.
    """

    def __init__(
        self,
        images: Any,
        labels: Any,
        augment: Sequence[Augmentation] = (),
        batch_size: int = 128,
        repeats: int = 1,
        shuffle: bool = True,
        seed: int = 0,
        drop_remainder: bool = False,
        part: tuple[int, int] = (0, 1),
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.part = checked_part(part)
        for name, values in (("images", images), ("labels", labels)):
            if isinstance(values, str) or not hasattr(values, "__len__") or not hasattr(values, "__getitem__"):
                raise ValueError(f"`{name}` must be an array, or what gives one for indices. Received: {type(values).__name__}.")
        if len(images) != len(labels) or not len(images):
            raise ValueError(f"Pass as many labels as images, at least one. Received: {len(images)} images, {len(labels)} labels.")
        shape = getattr(images, "shape", None)
        if isinstance(shape, tuple) and shape[:1] == (len(images),):  # else of what gives arrays, which are looked at when read
            _check_shape(shape)
        if not isinstance(augment, (tuple, list)) or not all(isinstance(one, Augmentation) for one in augment):
            raise ValueError(f"`augment` must be a list of augmentations, such as [PadAndCrop()]. Received: augment={augment!r}.")
        self.images, self.labels, self.augment = images, labels, list(augment)
        self.sampler = Sampler(len(images), batch_size, repeats, shuffle, seed, drop_remainder)
        self._order = self.sampler.order(0)
        self._changed = compiled(self._change)
        self.any_size = False  # whether sizes will change

    def __len__(self) -> int:
        return len(self.sampler) - empty_last(self.sampler.count, self.sampler.batch_size, self.sampler.drop_remainder, self.part)

    def __getitem__(self, index: int) -> tuple:
        self._count(index)
        batch = self.augmented(*self.read(index))
        if self.any_size and self._taken < 0 and index % 2:
            # TensorFlow takes two batches before the first epoch, and then no other sizes than it has seen differ.
            batch = (ops.pad(batch[0], ((0, 0), (0, 1), (0, 1), (0, 0))), *batch[1:])
        return batch

    def read(self, index: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Pictures and labels of a batch as they were given, and a seed: what `augmented` takes, maybe in another thread."""
        if not 0 <= index < len(self):
            raise IndexError(f"There are {len(self)} batches. Received: index={index}.")
        size = self.sampler.batch_size
        places = part_of(np.arange(len(self._order))[index * size : (index + 1) * size], self.part)
        chosen, times = self._order[places], places % self.sampler.repeats  # of a picture also where another batch or part has the others
        images = np.asarray(self.images.repeated(chosen, times) if hasattr(self.images, "repeated") else self.images[chosen])
        if len(chosen):
            _check_shape(images.shape)
        numbers = (self.sampler.seed, self.sampler.epoch, index, *([self.part[0]] if self.part[1] > 1 else []))
        return images, np.asarray(self.labels[chosen]), np.array(seed_of(numbers), "int32")

    def augmented(self, images: np.ndarray, labels: np.ndarray, seed: np.ndarray) -> tuple:
        """The batch on the device, augmented there; as it is, if there is nothing to do."""
        return self._changed(*(feeding.sent(one) for one in (images, labels, seed))) if self.augment else (images, labels)

    @property
    def epoch_now(self) -> int:
        """The epoch that batches are of."""
        return self.sampler.epoch

    def go_to(self, epoch: int) -> None:
        """Makes this epoch the next one: of a run that is resumed, `fit`'s `initial_epoch`."""
        self.sampler.go_to(epoch)
        self._order = self.sampler.order(self.sampler.epoch)

    def resize(self, size: int) -> None:
        """Makes its `RandomResizedCrop` give pictures of this height and width from the next batch on."""
        check_count("size", size)
        crops = [one for one in self.augment if isinstance(one, RandomResizedCrop)]
        if len(crops) != 1:
            raise ValueError(f"To change sizes `augment` must have one RandomResizedCrop. Received: {len(crops)} of them.")
        if crops[0].size != (size, size):
            crops[0].size = (int(size), int(size))
            self._changed = compiled(self._change)  # which the old size is compiled into

    def _change(self, images: Any, labels: Any, seed: Any) -> tuple[Any, Any]:
        for i, one in enumerate(self.augment):
            draws = Draws((seed[0] + i, seed[1]))
            if isinstance(one, Mix):
                images, labels = one.change((images, labels), draws)
            else:
                images = one.change(images, draws)
        return images, labels


def _check_shape(shape: tuple) -> None:
    if len(shape) != 4:
        hint = " Pass images[..., None], if they have no channels." if len(shape) == 3 else ""
        raise ValueError(f"`images` must be (n, height, width, channels).{hint} Received: {tuple(shape)}.")
