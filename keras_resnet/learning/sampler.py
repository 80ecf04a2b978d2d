"""In which order examples come, epoch by epoch, and going on in the middle of one."""

from collections.abc import Iterator

import numpy as np

from keras_resnet.layers.configured import check_count, check_flag, check_place
from keras_resnet.learning.pair_shapes import generator


class Sampler:
    """Batches of indices: `for indices in Sampler(len(images), batch_size=128): ...` is an epoch, and the next loop the next one.

    The order depends on `seed` and the epoch alone. `state()` and `set_state` make it a part of a checkpoint: a loop that was left goes on
    with the batch behind the last that it gave. Where batches are fetched ahead, that is not the last that was trained on: there
    `go_to(record.epoch, record.batch)` says where to go on.

    Args:
        count: examples, at least 1.
        batch_size: of indices, at least 1.
        repeats: repeated augmentation: each example `repeats` times in a row, and an epoch that is no longer for it: it has
            `count / repeats` of them, other ones each time.
        shuffle: whether each epoch has another order.
        seed: integer from 0.
        drop_remainder: whether the last batch is left out where it is smaller.

    Raises:
        ValueError: at an argument outside what is listed, and at a state that another sampler gave.

    Source: Hoffer et al. 2020, arXiv:1901.09335, and Berman et al. 2019, arXiv:1902.05509, for repeats, there 3.
    """

    def __init__(self, count: int, batch_size: int, repeats: int = 1, shuffle: bool = True, seed: int = 0, drop_remainder: bool = False):
        for name, value in (("count", count), ("batch_size", batch_size), ("repeats", repeats)):
            check_count(name, value)
        check_flag("shuffle", shuffle)
        check_flag("drop_remainder", drop_remainder)
        check_place("seed", seed)  # of which checkpoints keep one number
        self.count, self.batch_size, self.repeats, self.shuffle = int(count), int(batch_size), int(repeats), bool(shuffle)
        self.seed, self.drop_remainder = int(seed), bool(drop_remainder)
        self.epoch, self.batch = 0, 0
        if not len(self):
            raise ValueError(f"An epoch of {count} examples has no whole batch of {batch_size}. Take a smaller one, or keep the remainder.")

    def __len__(self) -> int:
        return self.count // self.batch_size if self.drop_remainder else -(-self.count // self.batch_size)

    def order(self, epoch: int) -> np.ndarray:
        """The indices of an epoch, `(count,)`."""
        order = generator((self.seed, epoch)).permutation(self.count) if self.shuffle else np.arange(self.count)
        return np.repeat(order[: -(-self.count // self.repeats)], min(self.repeats, self.count))[: self.count]

    def __iter__(self) -> Iterator[np.ndarray]:
        order = self.order(self.epoch)
        while self.batch < len(self):
            self.batch += 1
            yield order[(self.batch - 1) * self.batch_size : self.batch * self.batch_size]
        self.epoch, self.batch = self.epoch + 1, 0

    def go_to(self, epoch: int, batch: int = 0) -> None:
        """Makes this batch of this epoch, both from 0, the next one."""
        for name, value in (("epoch", epoch), ("batch", batch)):
            check_place(name, value)
        self.epoch, self.batch = int(epoch), int(batch)

    def state(self) -> dict:
        """Where it stands, and what it is of."""
        names = ("epoch", "batch", "count", "batch_size", "repeats", "shuffle", "seed", "drop_remainder")
        return {name: getattr(self, name) for name in names}

    def set_state(self, state: dict) -> None:
        """Goes on from a state of a sampler of the same arguments."""
        other = {name: value for name, value in state.items() if name not in ("epoch", "batch") and getattr(self, name, None) != value}
        if other:
            raise ValueError(f"The state is of a sampler with {other}. Make one of the same arguments.")
        self.go_to(state["epoch"], state["batch"])
