"""Callbacks that watch a training: that its loss stays a number, and how fast it is."""

import math
import threading
import time
from typing import Any

import keras

from keras_resnet.layers.configured import check_count, check_place
from keras_resnet.learning.checkpoint import Checkpoint
from keras_resnet.learning.sampler import Sampler
from keras_resnet.learning.training_state import step_of


class TerminateOnNonFinite(keras.callbacks.Callback):
    """Ends `fit` at the first loss that is infinite or not a number: `callbacks=[TerminateOnNonFinite(checkpoint), checkpoint]`.

    The error says step, epoch and batch, and which examples were in it. Keras's `TerminateOnNaN` only stops, with the broken weights. The
    training does not wait for the device: Keras reads the losses in threads beside it, and the error comes some batches later. It stands
    in front of the checkpoint, so that none is written in between.

    Args:
        checkpoint: the `Checkpoint` whose last one is put back into the model, or `None` to leave it as it is.
        sampler: where the order of examples is its, the `Sampler` that names them.
        before: batches of the first epoch that were complete before this `fit`.
        steps: batches that count as an epoch, where these are not once through the data.

    Raises:
        FloatingPointError: from `fit`, at such a loss.
        ValueError: at an argument outside what is listed.
    """

    async_safe = True  # to Keras: `on_train_batch_end` may run beside the training

    def __init__(self, checkpoint: Checkpoint | None = None, sampler: Sampler | None = None, before: int = 0, steps: int | None = None):
        super().__init__()
        check_place("before", before)
        if steps is not None:
            check_count("steps", steps)
        if not isinstance(checkpoint, (Checkpoint, type(None))) or not isinstance(sampler, (Sampler, type(None))):
            raise ValueError(
                "Pass a Checkpoint and a Sampler, or None. "
                f"Received: checkpoint={type(checkpoint).__name__}, sampler={type(sampler).__name__}."
            )
        self.checkpoint, self.sampler, self.epoch = checkpoint, sampler, 0
        self.before, self.steps = int(before), steps
        self._first: int | None = None  # epoch of this `fit`
        self._before = 0  # steps
        self._wrong: list[tuple[int, float]] = []  # batches of this epoch, and their losses; appended to by threads
        self._ended: list[int] = []  # of this epoch, too
        self._begun = 0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.epoch, self._before, self._wrong = epoch, step_of(self.model), []
        self._ended, self._begun = [], 0
        self._first = epoch if self._first is None else self._first

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        loss = float((logs or {}).get("loss", 0.0))
        if not math.isfinite(loss):
            self._wrong.append((batch, loss))
        self._ended.append(batch)

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        self._end()
        self._begun += 1

    def on_train_begin(self, logs: Any = None) -> None:
        self._first = None

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self._end()

    def _end(self) -> None:
        """Raises if there was such a loss. In the thread of the training, as weights are put back."""
        if not self._wrong:
            return
        end = time.monotonic() + 10
        while len(self._ended) < self._begun and time.monotonic() < end:  # several threads read, and the first batch may be told last
            time.sleep(0.001)
        batch, loss = min(self._wrong)
        batches = getattr(self.model.optimizer, "gradient_accumulation_steps", None) or 1
        step = self._before + (batch + 1) // batches
        together = int(getattr(self.model, "steps_per_execution", 1))  # whose loss Keras gives as one
        first = batch // together * together
        before = self.before if self.epoch == self._first else 0
        which = f"batch {before + batch}" if first == batch else f"one of the batches {before + first} to {before + batch}"
        said = f"The loss is {loss} at step {step}, {which} of epoch {self.epoch}"
        if self.sampler is not None:
            named = [index for one in range(first, batch + 1) for index in self._examples(before + one)]
            said += f", of the examples {named}"
        if self.checkpoint is not None:
            self.checkpoint.put_back(self.model)
            last = self.checkpoint.last
            said += ". No checkpoint was there to put back" if last is None else f". The model is that of {last.path} again"
        raise FloatingPointError(f"{said}. Lower the learning rate, clip gradients, or look at these examples.")

    def _examples(self, batch: int) -> list[int]:
        """Of this epoch's batch of that number."""
        assert self.sampler is not None
        size, whole = self.sampler.batch_size, len(self.sampler)
        epoch, place = divmod(self.epoch * (self.steps or whole) + batch, whole)
        return self.sampler.order(epoch)[place * size : (place + 1) * size].tolist()


class Throughput(keras.callbacks.Callback):
    """Writes `images_per_second` into the logs of each epoch, validation left out: `callbacks=[Throughput(images=50_000), CSVLogger(...)]`.

    It stands in front of what writes logs. With `data=throughput.watched(generator)` for `fit`'s data, `data_wait` is the share of the
    time in which the training waited for the next batch. TensorFlow fetches batches ahead in a thread of its own, and there it is that
    thread's time: near 0 where a generator that reads ahead keeps up with the training, near 1 where it does not.

    Args:
        images: in an epoch, at least 1.

    Raises:
        ValueError: at another argument.
    """

    def __init__(self, images: int):
        super().__init__()
        check_count("images", images)
        self.images = int(images)
        self._start = 0.0
        self._seconds: float | None = None  # of this epoch's training, once it is over
        self._waited: float | None = None  # of them, as far as waits have ended
        self._since: float | None = None  # when the wait under way began, which may be one of TensorFlow's thread
        self._lock = threading.Lock()

    def watched(self, data: Any) -> Any:
        """Passes the batches of an iterable on, and takes the time that each was waited for. It is for one `fit`."""
        self._waited = 0.0
        iterator = iter(data)
        while True:
            self._since = time.perf_counter()
            try:
                batch = next(iterator)
            except StopIteration:
                return
            finally:
                with self._lock:
                    self._count(time.perf_counter())
                    self._since = None
            yield batch

    def _count(self, now: float) -> None:
        """Adds the wait under way up to now, as far as it is within this epoch's training."""
        if self._since is not None and self._waited is not None and self._seconds is None:
            self._waited += now - max(self._since, self._start)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        with self._lock:
            self._start, self._seconds = time.perf_counter(), None
            if self._waited is not None:
                self._waited = 0.0

    def on_test_begin(self, logs: Any = None) -> None:
        self._stop()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self._stop()
        if logs is not None and self._seconds:
            logs["images_per_second"] = self.images / self._seconds
            if self._waited is not None:
                logs["data_wait"] = self._waited / self._seconds

    def _stop(self) -> None:
        """Once an epoch, when the device is done. What is waited for from then on, as by TensorFlow while it validates, is not counted."""
        if self._seconds is None:
            step_of(self.model)  # which waits for the last one
            with self._lock:
                now = time.perf_counter()
                self._count(now)
                self._seconds = now - self._start
