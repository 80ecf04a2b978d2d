"""The `keras.Model` that every network is: its checks of images, its summary, and what it keeps through training and files."""

import functools
import itertools
import weakref
from collections.abc import Callable
from typing import Any

import keras

from keras_resnet import backend
from keras_resnet.layers import Residual
from keras_resnet.layers.image_size import SizedLayer
from keras_resnet.layers.repeated import repeating
from keras_resnet.models.checkpoint_row import checked_row
from keras_resnet.models.compiling import compile_from_config, named_publicly, scaling_losses
from keras_resnet.models.named_outputs import for_each_output
from keras_resnet.models.untracked import Untracked

# From as many equal blocks on XLA compiles one of them in a loop; fewer compile faster than they would run in it.
REPEATED = 50


@keras.saving.register_keras_serializable("keras_resnet")
class Network(keras.Model):
    """A functional `keras.Model` whose optimizer keeps its state in the memory layout of the kernels.

    On PyTorch our kernels are stored channels-last. Keras makes momenta in the plain layout, and each update then walks two layouts at
    once: 1.84 s instead of 1.41 s for a training step of ResNet-50 (SGD with momentum, batch 16, 224 px, two cores, torchvision 1.40 s).
    """

    _checkpoint = Untracked(None)

    @property
    def checkpoint(self) -> dict | None:
        """The catalogue's row of the published weights that this network was built with, as plain values; None with others.

        Files and copies keep it. A clone by `keras.models.clone_model` starts from random numbers, and has none.
        """
        return getattr(self, "_checkpoint", Untracked(None)).value

    @checkpoint.setter
    def checkpoint(self, values: dict | None) -> None:
        self._checkpoint = Untracked(None if values is None else checked_row(values))

    def get_config(self) -> dict:
        config = super().get_config()
        return config if self.checkpoint is None else {**config, "checkpoint": self.checkpoint}

    @classmethod
    def from_config(cls, config: dict, custom_objects: Any = None) -> "Network":
        config = dict(config)
        checkpoint = config.pop("checkpoint", None)
        checkpoint = None if checkpoint is None else checked_row(checkpoint)  # before anything is built
        model = super().from_config(config, custom_objects)
        if checkpoint is not None:
            model.checkpoint = checkpoint
        return model

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None, **kwargs: Any) -> Any:
        runs = self._repeated_blocks() if backend.scans else []
        if not runs:
            return super().call(inputs, training=training, mask=mask, **kwargs)
        with repeating(runs):
            return super().call(inputs, training=training, mask=mask, **kwargs)

    def _repeated_blocks(self) -> list[tuple]:
        """Runs of at least `REPEATED` equal blocks, one behind the other, of which nothing else sees an output."""
        if not hasattr(self, "_runs"):
            runs: list[list] = [[]]
            for layer in self.layers:
                follows = runs[-1] and layer.input is runs[-1][-1].output
                if not (follows and isinstance(layer, Residual) and _settings(layer) == _settings(runs[-1][-1])):
                    runs.append([])
                runs[-1].append(layer)
            chain = all(layer.input is before.output for before, layer in itertools.pairwise(self.layers))
            self._runs = Untracked([tuple(run) for run in runs if len(run) >= REPEATED] if chain and len(self.outputs) == 1 else [])
        return [run for run in self._runs.value if len({len(block.trainable_variables) for block in run}) == 1]

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        # Here and not in `call`, to whose errors Keras adds all arguments, pixel by pixel.
        self._check_images(args[0] if args else kwargs.get("inputs"))
        return super().__call__(*args, **kwargs)

    def _check_images(self, images: Any) -> None:
        """Raises where these are an array or tensor, and not a batch of images that this network can take."""
        shape, expected = getattr(images, "shape", None), self.input_shape
        if not isinstance(expected, tuple) or shape is None or getattr(shape, "rank", 0) is None:
            return  # several inputs, a data set, or a shape that TensorFlow does not know
        shape = tuple(shape)
        if len(shape) == 3 and expected[-1] == 1 != shape[-1]:
            return  # grey images without their one channel, which Keras adds
        if len(shape) != len(expected) or any(None not in (e, s) and e != s for e, s in zip(expected[1:], shape[1:], strict=True)):
            hint = " For a single image pass image[None]." if len(shape) == 3 else ""
            raise ValueError(f"{self.name!r} takes images of the shape {expected}. Received: shape={shape}.{hint}")
        for layer in self.layers:
            if isinstance(layer, SizedLayer):
                layer.check_size(shape)

    @functools.wraps(keras.Model.compile)
    def compile(self, optimizer: Any = "rmsprop", *args: Any, **kwargs: Any) -> None:
        super().compile(scaling_losses(optimizer, self, args, kwargs), *args, **kwargs)

    @functools.wraps(keras.Model.fit)
    def fit(self, *args: Any, **kwargs: Any) -> Any:
        if kwargs.get("class_weight") and any(len(output.shape) > 2 for output in self.outputs):
            raise ValueError(
                "`class_weight` weighs whole samples, and a mask has pixels of several classes. Give the weights to the loss, a number a "
                "class, such as keras_resnet.losses.DiceCrossEntropy(class_weights=[...]) of as many numbers as there are classes. "
                f"Received: class_weight={kwargs['class_weight']!r}."
            )
        held_back = kwargs.get("validation_data")
        if isinstance(held_back, (tuple, list)) and held_back:
            self._check_images(held_back[0])
        return self._keeping_values(super().fit, args, kwargs)

    @functools.wraps(keras.Model.evaluate)
    def evaluate(self, *args: Any, **kwargs: Any) -> Any:
        return self._keeping_values(super().evaluate, args, kwargs)

    @functools.wraps(keras.Model.predict)
    def predict(self, *args: Any, **kwargs: Any) -> Any:
        return self._keeping_values(super().predict, args, kwargs)

    @functools.wraps(keras.Model.summary)
    def summary(self, line_length: int | None = None, positions: Any = None, *args: Any, **kwargs: Any) -> None:
        chain = all(after.input is before.output for before, after in itertools.pairwise(self.layers))
        if line_length is None and positions is None and chain:
            line_length, positions = 80, (0.44, 0.80, 1.0)  # so that (None, None, None, 2048) stands on one line: one row a block
        super().summary(line_length, positions, *args, **kwargs)

    def _keeping_values(self, method: Callable, args: tuple, kwargs: dict) -> Any:
        """`method(*args, **kwargs)` on images that this network takes, after whose failure it can still be used."""
        images = args[0] if args else kwargs.get("x")
        self._check_images(images)
        shape = getattr(images, "shape", None)
        if shape is not None and shape[0] == 0:
            raise ValueError(f"{self.name!r} got a batch without images. Received: shape={tuple(shape)}.")
        return keeping_values(self, method, *args, **kwargs)

    def get_compile_config(self) -> dict | None:
        """As Keras's, but with the optimizer's public name: Keras 3.15 writes that of the backend, which no other backend can use."""
        return named_publicly(super().get_compile_config())

    def compile_from_config(self, config: dict) -> None:
        compile_from_config(self, config)

    def compute_loss(self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True) -> Any:
        y, sample_weight = for_each_output("y", y, y_pred), for_each_output("sample_weight", sample_weight, y_pred)
        return super().compute_loss(x=x, y=y, y_pred=y_pred, sample_weight=sample_weight, training=training)

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> dict:
        y, sample_weight = for_each_output("y", y, y_pred), for_each_output("sample_weight", sample_weight, y_pred)
        return super().compute_metrics(x, y, y_pred, sample_weight)

    def make_train_function(self, force: bool = False) -> Any:
        """On PyTorch `jit_compile=True` compiles forward pass and loss, where Keras compiles the whole step in many pieces."""
        made = getattr(self, "train_function", None) is not None and not force
        super().make_train_function(force)
        if not made and self.jit_compile and backend.compiled_step is not None and type(self).train_step is Network.train_step:
            step = backend.compiled_step(self)

            def train_function(data: Any) -> Any:
                self._lay_out()
                return step(data[0])

            self.train_function = train_function
        return self.train_function

    def train_step(self, *args: Any, **kwargs: Any) -> Any:
        self._lay_out()
        return super().train_step(*args, **kwargs)

    def _lay_out(self) -> None:
        """Once for an optimizer, when it has its variables."""
        laid_out = getattr(self, "_laid_out", lambda: None)()
        if self.optimizer is not None and self.optimizer.built and self.optimizer is not laid_out:
            backend.prepare_optimizer(self.optimizer, self.trainable_variables)
            self._laid_out = weakref.ref(self.optimizer)


def keeping_values(model: keras.Model, method: Callable, *args: Any, **kwargs: Any) -> Any:
    """`method(*args, **kwargs)`, a loop over batches, after whose failure the model can still be used, also on JAX.

    There Keras 3.15 takes the values out of the variables while it loops over batches, and at an error in the first of them forgets them.
    """
    if keras.backend.backend() != "jax":
        return method(*args, **kwargs)
    optimizer = getattr(model, "optimizer", None)  # before `compile` there is not even the attribute
    state = [*model.variables, *([] if optimizer is None else optimizer.variables), *model.metrics_variables]
    before = [(variable, variable.value) for variable in state]
    try:
        return method(*args, **kwargs)
    except BaseException:
        for variable, value in before:
            if not _has_value(variable):
                variable.assign(value)
        raise


def _settings(layer: Any) -> dict:
    return {key: value for key, value in layer.get_config().items() if key not in ("name", "trainable")}


def _has_value(variable: keras.Variable) -> bool:
    try:
        return not variable.value.is_deleted()
    except TypeError:  # Keras asks for the initializer of a variable without a value, and there is none any more
        return False
