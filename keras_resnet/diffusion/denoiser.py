"""The model that teaches a network to see the noise in a picture, by `fit`."""

import functools
import inspect
from typing import Any

import keras
import numpy as np

from keras_resnet.backend.replicas import part_of_loss
from keras_resnet.diffusion import sampling
from keras_resnet.diffusion.schedule import PREDICTIONS, check_schedule
from keras_resnet.layers.configured import check_choice, check_number
from keras_resnet.models.compiling import compile_from_config, named_publicly, scaling_losses
from keras_resnet.models.functional import keeping_values

# No image reaches it: of latents scaled to variance 1 it is 16 standard deviations, and pixels from 0 to 255 that stay below are black.
LARGEST = 16


@keras.saving.register_keras_serializable("keras_resnet")
class Diffusion(keras.Model):
    """Trains a diffusion network, and draws pictures with it.

    ```python
    model = keras_resnet.diffusion.Diffusion(network, schedule="cosine")
    model.compile(keras.optimizers.Adam(2e-4, use_ema=True, ema_momentum=0.9999))
    model.fit(images, labels, batch_size=128, epochs=100)       # without labels for a network without classes
    pictures = model.sample(64, labels=3, guidance=2.0)
    ```

    Each step draws a time t and noise for every picture; the loss is the mean square of what the network gives at
    `x_t = sqrt(a_t) x + sqrt(1 - a_t) noise` less the noise, or with `prediction="v"` less `sqrt(a_t) noise - sqrt(1 - a_t) x`.

    With `use_ema` in the optimizer, Keras puts the averaged weights in the network's place at the end of `fit`: what is sampled from or
    saved then are they. `keras.callbacks.SwapEMAWeights` does so for the time of an evaluation. Of a network built with
    `dtype="mixed_float16"` the loss is scaled, and the error squared in float32.

    Args:
        network: a keras.Model of `[images, timesteps]`, or with classes `[images, timesteps, labels]`, such as `models.diffusion_unet`;
            one that learns the variance too can be sampled from, but not be trained here.
        schedule: a `diffusion.Schedule`, its kind in a word, or `None` for the linear one.
        prediction: what the network gives, `"epsilon"` (the noise) or `"v"`.
        label_dropout: share of the labels that training replaces by -1, no class, from 0 to below 1: classifier-free guidance needs some.
        seed: of times, noise and dropped labels, an integer or `None`.

    Input shape: that of the network's images, floating-point numbers of about -1 to 1. `model(images)` gives what the network learns
    from: a dict of noisy `"images"`, `"timesteps"` and the `"target"`.

    Raises:
        ValueError: at an argument outside what is listed; in `compile` at a loss or metrics; in `fit` at labels that are missing,
            superfluous or out of range, and at images that are integers, of another size, not finite or beyond -16 to 16, as those from
            0 to 255 are (arrays alone are looked at; wrong labels of a data set make the loss NaN, and the gradients are those of no
            class).

    Source: Ho et al. 2020, arXiv:2006.11239, algorithm 1; v Salimans and Ho 2022, arXiv:2202.00512; dropped labels Ho and Salimans 2022,
    arXiv:2207.12598.
    """

    def __init__(
        self,
        network: keras.Model,
        schedule: Any = None,
        prediction: str = "epsilon",
        label_dropout: float = 0.1,
        seed: int | None = None,
        **kwargs: Any,
    ):
        check_choice("prediction", prediction, PREDICTIONS)
        check_number("label_dropout", label_dropout, 0, 1)
        sampling.check_network(network)
        if network.outputs[0].shape[1:] != network.inputs[0].shape[1:]:
            raise ValueError(
                f"`network` must give as many channels as it takes; one that learns the variance too cannot be trained here. "
                f"Received: {network.inputs[0].shape[1:]} to {network.outputs[0].shape[1:]}."
            )
        super().__init__(**{"dtype": network.variable_dtype, **kwargs})
        self.network = network
        self.schedule = check_schedule(schedule)
        self.prediction, self.label_dropout, self.seed = prediction, float(label_dropout), seed
        self.draws = keras.random.SeedGenerator(seed)
        self.built = True

    def call(self, inputs: Any, training: bool | None = None) -> dict[str, Any]:
        ops = keras.ops
        if "float" not in keras.backend.standardize_dtype(inputs.dtype):
            raise ValueError(f"Images must be floating-point numbers, of about -1 to 1. Received: dtype={inputs.dtype}.")
        images = ops.cast(inputs, self.variable_dtype)
        times = keras.random.randint((ops.shape(images)[0],), 0, self.schedule.steps, seed=self.draws)
        noise = keras.random.normal(ops.shape(images), dtype=images.dtype, seed=self.draws)
        left, added = (self._share(values, times) for values in (self.schedule.alphas_cumprod, 1 - self.schedule.alphas_cumprod))
        target = noise if self.prediction == "epsilon" else left * noise - added * images
        return {"images": left * images + added * noise, "timesteps": times, "target": target}

    def _share(self, values: np.ndarray, times: Any) -> Any:
        """The root of each sample's number, to multiply images by."""
        roots = keras.ops.convert_to_tensor(np.sqrt(values).astype(self.variable_dtype))
        return keras.ops.reshape(keras.ops.take(roots, times, axis=0), (-1, 1, 1, 1))

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool | None = True
    ) -> Any:
        """Mean square of the network's error over pixels and samples; `y` are labels, `sample_weight` a weight a sample."""
        inputs = [y_pred["images"], y_pred["timesteps"]]
        labels, wrong = self._labels(y, inputs[1], training)
        output = self.network(inputs if labels is None else [*inputs, labels], training=training)
        error = keras.ops.cast(output, self.variable_dtype) - y_pred["target"]
        error = keras.ops.mean(keras.ops.square(error), (1, 2, 3))
        if sample_weight is not None:
            error = error * keras.ops.cast(_one_each("sample_weight", sample_weight), error.dtype)
        error = keras.ops.mean(error)
        if wrong is not None:  # added, not multiplied: the loss says it, and the gradients are those of the labels that there are
            error = error + keras.ops.stop_gradient(keras.ops.cast(keras.ops.where(wrong, float("nan"), 0.0), error.dtype))
        return part_of_loss(sum(self.losses, error))

    def _labels(self, y: Any, times: Any, training: bool | None) -> tuple[Any, Any]:
        """Labels for the network, of which those out of range are no class, and whether there were any such."""
        ops = keras.ops
        if (y is None) != (len(self.network.inputs) == 2):
            raise ValueError(_label_advice(self.network, y is not None))
        if y is None:
            return None, None
        labels = ops.cast(_one_each("Labels", y), "int32")
        unknown = ops.less(labels, -1)
        if (count := sampling.class_count(self.network)) is not None:
            unknown = ops.logical_or(unknown, ops.greater_equal(labels, count))
        labels = ops.where(unknown, -1, labels)
        if training and self.label_dropout:
            dropped = keras.random.uniform(ops.shape(times), dtype="float32", seed=self.draws) < self.label_dropout
            labels = ops.where(dropped, -1, labels)
        return labels, ops.any(unknown)

    @functools.wraps(keras.Model.compile)
    def compile(self, optimizer: Any = "rmsprop", *args: Any, **kwargs: Any) -> None:
        given = inspect.signature(keras.Model.compile).bind_partial(self, optimizer, *args, **kwargs).arguments
        for name in ("loss", "loss_weights", "metrics", "weighted_metrics"):
            if given.get(name):
                raise ValueError(
                    f"A Diffusion has its own loss, the mean square of the network's error, and no metrics beside it: leave out `{name}`, "
                    f"as in compile('adam'). Received: {name}={given[name]!r}."
                )
        super().compile(scaling_losses(optimizer, self.network, args, kwargs), *args, **kwargs)

    @functools.wraps(keras.Model.fit)
    def fit(self, x: Any = None, y: Any = None, *args: Any, **kwargs: Any) -> Any:
        self._check(x, y, kwargs.get("sample_weight"))
        history = keeping_values(self, super().fit, x, y, *args, **kwargs)
        optimizer = getattr(self.optimizer, "inner_optimizer", self.optimizer)  # of one that scales losses
        if getattr(optimizer, "use_ema", False) and keras.backend.backend() == "jax":
            # There Keras 3.15 leaves the averages and the weights one array, which a prediction then takes away from the optimizer.
            for variable in self.trainable_variables:
                variable.assign(keras.ops.copy(variable.value))
        return history

    @functools.wraps(keras.Model.evaluate)
    def evaluate(self, x: Any = None, y: Any = None, *args: Any, **kwargs: Any) -> Any:
        self._check(x, y, kwargs.get("sample_weight"))
        return keeping_values(self, super().evaluate, x, y, *args, **kwargs)

    def _check(self, x: Any, y: Any, sample_weight: Any) -> None:
        """Raises at arrays that the network cannot learn from."""
        if x is None:
            raise ValueError("There is no image to learn from: pass fit(images), an array (n, height, width, channels), or a data set.")
        for name, values in (("images", x), ("labels", y)):
            if isinstance(values, (list, tuple, dict)):
                advice = "." if isinstance(values, dict) else f": np.stack({name})." if name == "images" else f": np.array({name})."
                raise ValueError(f"Pass {name} as one array{advice} Received: {type(values).__name__} of {len(values)}.")
        if sample_weight is not None and y is None:
            raise ValueError("`sample_weight` needs labels: without them Keras forgets it. Leave out what is not to be learned from.")
        if isinstance(x, np.ndarray):
            if len(x) == 0:
                raise ValueError(f"There is no image to learn from. Received: shape={x.shape}.")
            if (y is None) != (len(self.network.inputs) == 2):
                raise ValueError(_label_advice(self.network, y is not None))
            expected = tuple(self.network.inputs[0].shape)
            if x.ndim != 4 or any(None not in (e, s) and e != s for e, s in zip(expected[1:], x.shape[1:], strict=True)):
                raise ValueError(f"The network takes images of the shape {expected}. Received: shape={x.shape}.")
            if not np.issubdtype(x.dtype, np.floating):
                raise ValueError(f"Images must be floating-point numbers, of about -1 to 1. Received: dtype={x.dtype}.")
            if not np.isfinite(x).all():
                raise ValueError("Images must be finite. Received: NaN or infinity.")
            if max(x.max(), -x.min()) > LARGEST:
                raise ValueError(
                    "Images must be of about -1 to 1, where the noise has a standard deviation of 1; beyond -16 to 16 they are taken for a "
                    f"mistake. Scale them: images / 127.5 - 1 of those from 0 to 255. Received: {x.min():g} to {x.max():g}."
                )
        if isinstance(y, np.ndarray):
            sampling.check_labels(y.reshape(-1) if y.ndim == 2 and y.shape[1] == 1 else y, self.network)

    def sample(self, num: int, *args: Any, **settings: Any) -> np.ndarray:
        """Draws `num` pictures; arguments as in `diffusion.sample`, with this model's schedule and prediction."""
        return sampling.sample(self, num, *args, **settings)

    def get_config(self) -> dict:
        return {
            **super().get_config(),
            "network": keras.saving.serialize_keras_object(self.network),
            "schedule": keras.saving.serialize_keras_object(self.schedule),
            "prediction": self.prediction,
            "label_dropout": self.label_dropout,
            "seed": self.seed,
        }

    @classmethod
    def from_config(cls, config: dict, custom_objects: Any = None) -> "Diffusion":
        config = dict(config)
        for name in ("network", "schedule"):
            config[name] = keras.saving.deserialize_keras_object(config[name], custom_objects)
        return cls(**config)

    def get_compile_config(self) -> dict | None:
        """As Keras's, but with the optimizer's public name, which every backend can use."""
        return named_publicly(super().get_compile_config())

    def compile_from_config(self, config: dict) -> None:
        compile_from_config(self, config)


def _one_each(name: str, values: Any) -> Any:
    """`(n,)` of `(n,)` or `(n, 1)`. Raises at other shapes."""
    if len(values.shape) == 2 and values.shape[1] == 1:
        return keras.ops.squeeze(values, 1)
    if len(values.shape) != 1:
        what = "integers, (n,), not one-hot" if name == "Labels" else "numbers, (n,)"
        raise ValueError(f"{name} must be {what}. Received: shape={tuple(values.shape)}.")
    return values


def _label_advice(network: keras.Model, given: bool) -> str:
    if given:
        return f"The network {network.name!r} has no classes: build it with `classes`, or pass no labels."
    return f"The network {network.name!r} has classes: pass labels, as in fit(images, labels); -1 is no class."
