"""The memory of a training step beyond variables and optimizer.

On JAX what XLA lays out for temporary results of the compiled step; on PyTorch and TensorFlow the largest resident memory during the first
step beyond that before it. There the process must be started with `RETURNED` in its environment, so that every large block is given back to
the system when it is freed, and measure once.
"""

import os
import pathlib
import threading
import time
from collections.abc import Callable
from typing import Any

RETURNED = {"MALLOC_MMAP_THRESHOLD_": "65536"}


def training_memory(model: Any, images: Any, labels: Any) -> int:
    """Bytes that a step of plain SGD on integer labels takes."""
    import keras

    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    if keras.backend.backend() == "jax":
        return compiled_memory(model, loss, images, labels)
    model.compile(keras.optimizers.SGD(0.01), loss)
    model.optimizer.build(model.trainable_variables)
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        @tf.function(autograph=False)
        def step() -> None:
            model.train_step((tf.constant(images), tf.constant(labels)))

        traced = step.get_concrete_function()  # the graph is Python's memory, not the step's
        return resident_peak(traced)
    return resident_peak(lambda: model.train_on_batch(images, labels))


def compiled_memory(model: Any, loss: Callable, images: Any, labels: Any) -> int:
    """What the compiled step of plain SGD needs for temporary results, on JAX."""
    import jax

    def objective(trained: list, others: list) -> tuple:
        logits, others = model.stateless_call(trained, others, images, training=True)
        return loss(labels, logits), others

    @jax.jit
    def step(trained: list, others: list) -> tuple:
        gradients, others = jax.grad(objective, has_aux=True)(trained, others)
        return [value - 0.01 * gradient for value, gradient in zip(trained, gradients, strict=True)], others

    values = [v.value for v in model.trainable_variables], [v.value for v in model.non_trainable_variables]
    memory = step.lower(*values).compile().memory_analysis()
    assert memory is not None, "this version of JAX does not say how much memory a compiled function needs"
    return memory.temp_size_in_bytes


def resident_peak(step: Callable[[], object]) -> int:
    """How far this process's resident memory rises while `step` runs, read every millisecond."""
    page, statm = os.sysconf("SC_PAGE_SIZE"), pathlib.Path("/proc/self/statm")

    def resident() -> int:
        return int(statm.read_text().split()[1]) * page

    before = resident()
    highest, done = before, threading.Event()

    def watch() -> None:
        nonlocal highest
        while not done.is_set():
            highest = max(highest, resident())
            time.sleep(0.001)

    watcher = threading.Thread(target=watch)
    watcher.start()
    step()
    done.set()
    watcher.join()
    return highest - before
