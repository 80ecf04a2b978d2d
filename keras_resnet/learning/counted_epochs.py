"""Data for `fit` whose epochs differ: it tells an epoch that is over from a look at the first batches."""

import keras


class CountedEpochs(keras.utils.PyDataset):
    """Goes on to the next epoch when one is over. A subclass calls `_count` for each batch that it gives, and has `epoch_now` and `go_to`.

    Keras takes a batch or two to see their shapes, and calls `on_epoch_end` behind them as well; so an epoch is over only if more were
    taken, or the last one. Several workers begin before Keras calls `on_epoch_begin`, and fill a queue; of what is left in it when Keras
    has looked, the first epoch takes some again, and never asks for its own last ones.
    """

    _taken = -1  # batches since an epoch began; -1: none has begun
    _last_taken = False

    @property
    def epoch_now(self) -> int:
        """The epoch that batches are of."""
        raise NotImplementedError

    def go_to(self, epoch: int) -> None:
        """Makes this epoch the next one: of a run that is resumed, `fit`'s `initial_epoch`."""
        raise NotImplementedError

    def on_epoch_begin(self) -> None:
        """Keras calls it."""
        self._taken = 0
        if self.workers <= 1:
            self._last_taken = False

    def on_epoch_end(self) -> None:
        """Goes on to the next epoch. Keras calls it, also after the batch or two that it takes to see their shapes."""
        looked_at = 1 if self.workers <= 1 else 1 + self.workers + self.max_queue_size
        if self._last_taken or self._taken > looked_at:
            self.go_to(self.epoch_now + 1)
        self._taken, self._last_taken = -1, False

    def _count(self, index: int) -> None:
        self._taken += self._taken >= 0
        if index == len(self) - 1:  # and never back to False here: other workers count at the same time
            self._last_taken = True
