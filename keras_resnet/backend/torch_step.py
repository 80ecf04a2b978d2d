"""PyTorch's training step, whose forward pass and loss are one module: what is compiled, and what a gradient starts from."""

from collections.abc import Callable
from typing import Any

import keras
import torch

COMPILER = "inductor"


class ForwardAndLoss(torch.nn.Module):
    """A model in training together with its loss: `(x, y, sample_weight)` to predictions and loss."""

    def __init__(self, model: keras.Model):
        super().__init__()
        self.model = model

    def forward(self, x: Any, y: Any, sample_weight: Any) -> tuple[Any, torch.Tensor]:
        y_pred = self.model(x, training=True)
        return y_pred, self.model.compute_loss(x=x, y=y, y_pred=y_pred, sample_weight=sample_weight, training=True)


def compiled_step(model: keras.Model) -> Callable[[Any], dict[str, Any]]:
    """Keras's training step with forward pass and loss compiled, and so their gradient; the optimizer's kernels are fused already.

    Keras would compile the step as a whole: 15 breaks of the graph, of which the backward call and the learning rate are two. Batches
    should be alike in size, as those of `drop_remainder=True` are: each other size is compiled anew.

    ResNet-20, batch 128, 32 px, one core: 349 to 333 ms, and the first step 71 s. It is for GPUs, on which nothing was measured yet.
    """
    forward_and_loss = torch.compile(ForwardAndLoss(model), backend=COMPILER)

    return lambda data: step(model, data, forward_and_loss)


def step(model: keras.Model, data: Any, forward_and_loss: Callable, behind: Callable[[], None] = lambda: None) -> dict[str, Any]:
    """Keras's training step, whose forward pass and loss are `forward_and_loss(x, y, sample_weight)`.

    Args:
        model: compiled.
        data: a batch, as `fit` passes it on.
        forward_and_loss: `ForwardAndLoss` of the model, or what wraps it.
        behind: what is done once the variables have moved, before metrics are read.
    """
    x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
    model.zero_grad()
    y_pred, loss = forward_and_loss(x, y, sample_weight)
    images = next(one for one in keras.tree.flatten(x) if one is not None).shape[0]
    next(metric for metric in model.metrics if metric.name == "loss").update_state(loss.detach(), sample_weight=images)
    model.optimizer.scale_loss(loss).backward()
    variables = list(model.trainable_variables)
    with torch.no_grad():
        model.optimizer.apply([variable.value.grad for variable in variables], variables)
        behind()
    return model.compute_metrics(x, y, keras.tree.map_structure(torch.Tensor.detach, y_pred), sample_weight=sample_weight)
