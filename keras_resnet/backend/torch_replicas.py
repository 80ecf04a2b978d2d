"""Training together on PyTorch: one process a replica, started by torchrun, gradients by DistributedDataParallel."""

import contextlib
import datetime
import os
from typing import Any

import keras
import numpy as np
import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

from keras_resnet import backend
from keras_resnet.backend import replicas
from keras_resnet.backend.replica_seeds import seeds_apart
from keras_resnet.backend.torch_step import COMPILER, ForwardAndLoss, step

LAUNCH = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")  # what torchrun sets


class _Sum(torch.autograd.Function):
    """The sum over replicas, whose gradient is the sum over replicas of theirs."""

    @staticmethod
    def forward(context, value):
        return _added(value)

    @staticmethod
    def backward(context, gradient):
        return _added(gradient)


def _added(value: torch.Tensor) -> torch.Tensor:
    value = value.contiguous().clone()
    dist.all_reduce(value)
    return value


@torch.compiler.disable
def joined(mean: Any, variance: Any, count: Any) -> tuple:
    """See `replicas.joined`."""
    return replicas.joined(mean, variance, count, dist.get_rank(), dist.get_world_size(), _Sum.apply)


class Trained(torch.nn.Module):
    """What DistributedDataParallel wraps: a model's prediction and loss, with its trained variables, and no others, as parameters."""

    def __init__(self, model: keras.Model):
        super().__init__()
        part: Any = ForwardAndLoss(model)
        self.held = (torch.compile(part, backend=COMPILER) if model.jit_compile else part,)  # in a tuple it is no part of this module
        self.trained = torch.nn.ParameterList([variable.value for variable in model.trainable_variables])

    def forward(self, x: Any, y: Any, sample_weight: Any) -> tuple:
        """Prediction and loss in training."""
        return self.held[0](x, y, sample_weight)


def several(devices: list | None) -> bool:
    """Whether this process was launched as one of several."""
    return int(os.environ.get("WORLD_SIZE", 1)) > 1


class Engine:
    """What `learning.distribute` starts. See there."""

    finishes_together = False

    def __init__(self, timeout: float, devices: list | None = None):
        if devices is not None:
            raise ValueError(f"On PyTorch each process has the one device that torchrun gives it. Received: devices={devices!r}.")
        missing = [name for name in LAUNCH if name not in os.environ]
        if missing:
            raise ValueError(f"Several processes of PyTorch are started by torchrun. Not set: {', '.join(missing)}.")
        self.mine = not dist.is_initialized()
        if self.mine:
            if torch.cuda.is_available():
                torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", 0)))
            backend = "nccl" if torch.cuda.is_available() else "gloo"
            dist.init_process_group(backend, timeout=datetime.timedelta(seconds=timeout))
        # The GPUs' own group would wait for what they have to do.
        self.hosts = dist.new_group(backend="gloo", timeout=datetime.timedelta(seconds=timeout))
        self.rank, self.processes = dist.get_rank(), dist.get_world_size()
        self.count = self.least_test_batch = self.processes
        self.seeds_alike = seeds_apart(lambda: self.rank)

    def scope(self) -> contextlib.AbstractContextManager:
        """Nothing special to build a model in."""
        return contextlib.nullcontext()

    def check(self, model: keras.Model) -> None:
        """Raises if it is sharded."""
        sharded = [variable.path for variable in model.variables if type(variable.value.data).__name__ == "DTensor"]
        if sharded:
            raise ValueError(
                f"This model is sharded (fully_shard): Keras would train copies of its variables, such as {sharded[0]}, and nothing of it "
                "would be shared. Pass the model itself; every replica holds it whole."
            )

    def adopt(self, model: keras.Model) -> None:
        """Gives a compiled model a step of all replicas together."""
        for variable in [*model.variables, *model.metrics_variables]:  # one start, whatever seed each process had
            dist.broadcast(variable.value.data, 0)
        if hasattr(model, "ddp_model"):  # Keras 3.16 wraps models itself
            return
        shared = _Step(model)
        model.train_step = shared.train
        model.make_train_function = shared.make_train_function
        model._get_metrics_result_or_logs = shared.metrics_of_all

    def summed(self, array: np.ndarray) -> np.ndarray:
        """The sum over processes."""
        value = torch.from_numpy(array.copy())
        dist.all_reduce(value, group=self.hosts)
        return value.numpy()

    def training(self, batches: Any) -> Any:
        """Batches as `fit` takes them."""
        return batches

    def divides(self, count: int, batch: int) -> bool:
        """Whether a set of that many is tested on in parts: here parts may differ, and one be empty."""
        return True

    def testing(self, batches: Any, size: int, count: int) -> Any:
        """Batches of `size` as `fit` takes them for `validation_data`; `count` are the examples of all."""
        return batches

    def close(self, together: bool = True) -> None:
        """Ends the group that this started. None has to wait: what a process owes to others of a sum it has sent by then."""
        self.seeds_alike()
        if self.mine and dist.is_initialized():
            dist.destroy_process_group()


class _Step:
    """A Keras model's training step over all replicas, and its metrics over all their parts."""

    def __init__(self, model: keras.Model):
        self.model = model
        self.wrapped: DistributedDataParallel | None = None

    def make_train_function(self, force: bool = False) -> None:
        """The step itself, of which forward pass and loss alone are compiled."""
        self.model.train_function = lambda data: self.model.train_step(data[0])

    def _wrap(self) -> DistributedDataParallel:
        model = self.model
        if not model.optimizer.built:
            model.optimizer.build(model.trainable_variables)
        backend.prepare_optimizer(model.optimizer, model.trainable_variables)
        return DistributedDataParallel(Trained(model))

    def train(self, data: Any) -> dict:
        """As Keras's `train_step`, its loss the mean over replicas."""
        if self.wrapped is None:
            self.wrapped = self._wrap()
        return step(self.model, data, self.wrapped, self._average)

    def _average(self) -> None:
        """Of each replica's own statistics; those of all together are equal already."""
        if not replicas.current.sync_norm:
            average([v for v in self.model.non_trainable_variables if v.name in ("moving_mean", "moving_variance")])

    def metrics_of_all(self, logs: Any) -> Any:
        """What Keras asks for once, at the end of an epoch or a test: metrics are sums, as Keras has them on TensorFlow's replicas.

        They stay in the variables, so that `get_metrics_result` then gives those of all, too, and asks nobody.
        """
        together([v.value for v in self.model.metrics_variables])
        return type(self.model)._get_metrics_result_or_logs(self.model, logs)


@torch.no_grad()
def average(variables: list) -> None:
    """Makes variables the means over replicas, all at once."""
    if not variables:
        return
    values = [variable.value for variable in variables]
    flat = torch.cat([value.reshape(-1).float() for value in values])
    dist.all_reduce(flat)
    _put(flat / dist.get_world_size(), values)


@torch.no_grad()
def together(values: list) -> None:
    """Makes tensors their sums over replicas, all at once."""
    if values:
        flat = torch.cat([value.reshape(-1).double() for value in values])
        dist.all_reduce(flat)
        _put(flat, values)


def _put(flat: torch.Tensor, values: list) -> None:
    for value, new in zip(values, flat.split([value.numel() for value in values]), strict=True):
        value.data.copy_(new.view(value.shape))
