"""Training loops as one writes them in a framework itself, without Keras's `fit`: what our trainer's overhead is measured against."""

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np

Loop = Callable[[int], None]


def batches(images: np.ndarray, labels: np.ndarray, batch: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Shuffled batches without end."""
    rng = np.random.default_rng(0)
    while True:
        order = rng.permutation(len(images))
        for start in range(0, len(order) - batch + 1, batch):
            chosen = order[start : start + batch]
            yield images[chosen], labels[chosen]


def loops(model: keras.Model, images: np.ndarray, labels: np.ndarray, batch: int) -> dict[str, Loop]:
    """Loops of the running backend by name, each of which takes a number of steps and has trained them when it returns.

    Args:
        model: what the loop around our own network trains.
        images: (n, 32, 32, 3), uint8.
        labels: (n,), whole.
        batch: pictures in a step.
    """
    backend = keras.backend.backend()
    if backend == "torch":
        return {
            "PyTorch's own ResNet-20": _torch_loop(_torch_resnet20(), images, labels, batch),
            "loop around ours": _torch_loop(model, images, labels, batch),
        }
    return {"loop around ours": (_jax_loop if backend == "jax" else _tensorflow_loop)(model, images, labels, batch)}


def _torch_resnet20() -> Any:
    """ResNet-20 in PyTorch's modules, with the shortcuts of option A; pictures channels-last in memory."""
    import torch
    from torch import nn

    class Block(nn.Module):
        def __init__(self, before: int, filters: int):
            super().__init__()
            self.strides, self.new = (1, 0) if before == filters else (2, filters - before)
            self.conv1, self.norm1 = nn.Conv2d(before, filters, 3, self.strides, 1, bias=False), nn.BatchNorm2d(filters)
            self.conv2, self.norm2 = nn.Conv2d(filters, filters, 3, 1, 1, bias=False), nn.BatchNorm2d(filters)

        def forward(self, x: Any) -> Any:
            y = torch.relu(self.norm1(self.conv1(x)))
            y = self.norm2(self.conv2(y))
            if self.new:
                x = nn.functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 0, self.new))
            return torch.relu(x + y)

    widths = [16] * 4 + [32] * 3 + [64] * 3
    blocks = [Block(before, filters) for before, filters in itertools.pairwise(widths)]
    stem = [nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU()]
    return nn.Sequential(*stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))


def _torch_loop(model: Any, images: np.ndarray, labels: np.ndarray, batch: int) -> Loop:
    """As torchvision's reference has it: loss and accuracy of each batch are read for the log."""
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    ours = isinstance(model, keras.Model)
    if not ours:
        model = model.to(device, memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9, weight_decay=1e-4)
    data = batches(images, labels, batch)

    def loop(steps: int) -> None:
        model.train()
        for pictures, classes in itertools.islice(data, steps):
            x, y = ((torch.from_numpy(pictures).to(device).float() - 120.0) / 64.0, torch.from_numpy(classes).to(device))
            scores = model(x, training=True) if ours else model(x.permute(0, 3, 1, 2))
            loss = torch.nn.functional.cross_entropy(scores, y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            loss.item(), (scores.argmax(-1) == y).float().mean().item()

    return loop


def _jax_loop(model: keras.Model, images: np.ndarray, labels: np.ndarray, batch: int) -> Loop:
    import jax

    optimizer = keras.optimizers.SGD(0.1, momentum=0.9)
    optimizer.build(model.trainable_variables)
    state = [
        [variable.value + 0 for variable in kind]
        for kind in (model.trainable_variables, model.non_trainable_variables, optimizer.variables)
    ]
    loss_of = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def loss(trained: Any, others: Any, x: Any, y: Any) -> Any:
        scores, others = model.stateless_call(trained, others, (x.astype("float32") - 120.0) / 64.0, training=True)
        return loss_of(y, scores), (others, (scores.argmax(-1) == y).mean())

    def step(trained: Any, others: Any, slots: Any, x: Any, y: Any) -> Any:
        (value, (others, accuracy)), gradients = jax.value_and_grad(loss, has_aux=True)(trained, others, x, y)
        trained, slots = optimizer.stateless_apply(slots, gradients, trained)
        return trained, others, slots, value, accuracy

    compiled = jax.jit(step, donate_argnums=(0, 1, 2))
    data = batches(images, labels, batch)

    def loop(steps: int) -> None:
        for x, y in itertools.islice(data, steps):
            *state[:], value, accuracy = compiled(*state, x, y)
        float(value), float(accuracy)  # which waits for the device

    return loop


def _tensorflow_loop(model: keras.Model, images: np.ndarray, labels: np.ndarray, batch: int) -> Loop:
    import tensorflow as tf

    optimizer = keras.optimizers.SGD(0.1, momentum=0.9)
    optimizer.build(model.trainable_variables)
    loss_of = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    @tf.function(reduce_retracing=True)
    def step(x: Any, y: Any) -> Any:
        with tf.GradientTape() as tape:
            scores = model((tf.cast(x, "float32") - 120.0) / 64.0, training=True)
            value = loss_of(y, scores)
        optimizer.apply(tape.gradient(value, model.trainable_variables), model.trainable_variables)
        return value, tf.reduce_mean(tf.cast(tf.argmax(scores, -1) == y, "float32"))

    data = batches(images, labels, batch)

    def loop(steps: int) -> None:
        for x, y in itertools.islice(data, steps):
            value, accuracy = step(x, y)
        float(value), float(accuracy)

    return loop
