"""Pictures from noise, step by step, by a network that sees noise in pictures."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

from keras_resnet.diffusion.schedule import PREDICTIONS, Schedule, check_schedule
from keras_resnet.diffusion.steps import SAMPLERS, VARIANCES, Path
from keras_resnet.layers.configured import check_choice, check_count, check_flag, check_number, is_count
from keras_resnet.models.walk import is_channels_first
from keras_resnet.vision.host_arrays import as_host_array


def sample(
    model: Any,
    num: int,
    sampler: str = "ddim",
    steps: int | None = None,
    *,
    eta: float = 0.0,
    labels: int | Sequence[int] | np.ndarray | None = None,
    guidance: float = 1.0,
    shape: Sequence[int] | None = None,
    seed: int | None = None,
    schedule: Schedule | str | None = None,
    prediction: str | None = None,
    variance: str | None = None,
    clip: bool = True,
    batch_size: int = 64,
    verbose: bool = True,
) -> np.ndarray:
    """Draws pictures with a diffusion network.

    ```python
    network = keras_resnet.create_model("ddpm_cifar10")
    images = keras_resnet.diffusion.sample(network, 64, sampler="ddim", steps=50)
    ```

    Noise is drawn by NumPy, for each picture from a stream of its own: picture i of a seed is the same on every backend but for roundings,
    whatever `num` and `batch_size` are. Steps are worked out on the host; only the network runs on the device.

    Args:
        model: a `diffusion.Diffusion`; a network, such as `models.diffusion_unet`; or a function of `(images, timesteps, labels)`, NumPy
            arrays (`labels` is `None` without), that gives what a network would.
        num: how many pictures.
        sampler: `"ddim"`, few steps without noise, or `"ddpm"`, each step of which adds noise.
        steps: from 1 to the schedule's, spread evenly from the last to the first; `None` for 50, with `"ddpm"` for all.
        eta: noise that DDIM's steps add, from 0 (none) to 1 (as much as DDPM's with `variance="small"`).
        labels: a class for each picture or one for all; -1 or `None` for no class.
        guidance: w of classifier-free guidance, at least 0: with w other than 1 the network runs with and without classes, and what it
            gives is `without + w * (with - without)`.
        shape: of one picture; `None` for the network's.
        seed: an integer of at least 0, or `None` for pictures that are new each time.
        schedule: that the network was trained with: a `diffusion.Schedule`, its kind, or `None` for the model's own, else the linear one.
        prediction: what the network gives, `"epsilon"` or `"v"`; `None` for the model's own, else `"epsilon"`.
        variance: of DDPM's noise, `"small"` (right for data that is one point) or `"large"` (right for data that is noise, and what the
            authors used for CIFAR-10); `None` for the large one where all steps are taken, and with fewer, where it leaves noise in the
            pictures, for the small one. A network that learns the variance says it itself.
        clip: whether the picture that each step aims at is cut to -1 to 1.
        batch_size: pictures at a time; guidance runs the network on twice as many.
        verbose: whether to show a progress bar.

    Returns:
        `(num, height, width, channels)`, or channels first where the network has them so; float32, from -1 to 1 with `clip`.

    Raises:
        ValueError: at an argument outside what is listed, labels out of range or for a network without classes, and where the network
            gives NaN or infinity.

    Source: DDPM Ho et al. 2020, arXiv:2006.11239, algorithm 2; DDIM Song et al. 2020, arXiv:2010.02502, equation 12; guidance Ho and
    Salimans 2022, arXiv:2207.12598.
    """
    check_count("num", num)
    check_choice("sampler", sampler, SAMPLERS)
    check_number("eta", eta, 0)
    if eta > 1 or (eta and sampler == "ddpm"):
        raise ValueError(f"`eta` is DDIM's, from 0 to 1. Received: eta={eta!r}, sampler={sampler!r}.")
    check_number("guidance", guidance, 0)
    check_choice("variance", variance, (*VARIANCES, None))
    check_flag("clip", clip)
    check_flag("verbose", verbose)
    check_count("batch_size", batch_size)
    if seed is not None and not (is_count(seed) or (isinstance(seed, (int, np.integer)) and seed == 0)):
        raise ValueError(f"`seed` must be an integer of at least 0, or None. Received: seed={seed!r}.")
    source = _source(model, schedule, prediction)
    total = source.schedule.steps
    if steps is not None and not (is_count(steps) and steps <= total):
        raise ValueError(f"`steps` must be an integer from 1 to the schedule's {total}, or None. Received: steps={steps!r}.")
    classes = _classes(labels, guidance, int(num), source)
    size = _shape(shape, source)
    steps = int(steps or (min(50, total) if sampler == "ddim" else total))
    variance = variance or ("large" if steps == total else "small")
    path = Path(source.schedule, steps, sampler, float(eta), variance, source.prediction, bool(clip), source.channel_axis)
    streams = [np.random.Generator(np.random.PCG64(child)) for child in np.random.SeedSequence(seed).spawn(int(num))]
    pictures = np.empty((int(num), *size), "float32")
    from tqdm.std import tqdm  # costs a tenth of a second that importing the library need not

    with tqdm(total=steps * -(-num // batch_size), unit="step", desc="sample", disable=not verbose, leave=False) as bar:
        for start in range(0, int(num), batch_size):
            chosen = slice(start, start + batch_size)
            run = _guided(source, None if classes is None else classes[chosen], float(guidance))
            pictures[chosen] = path.walk(run, streams[chosen], size, bar.update)
    return pictures


@dataclasses.dataclass(frozen=True)
class Source:
    """What is sampled from: a function of images, times and labels, and what is known of it."""

    run: Callable
    network: Any
    schedule: Schedule
    prediction: str
    channel_axis: int


def _source(model: Any, schedule: Any, prediction: Any) -> Source:
    network = getattr(model, "network", model) if isinstance(model, keras.Model) else None
    if network is None and not callable(model):
        raise ValueError(f"`model` must be a diffusion.Diffusion, a network, or a function. Received: {type(model).__name__}.")
    found = check_schedule(getattr(model, "schedule", None) if schedule is None else schedule)
    prediction = getattr(model, "prediction", "epsilon") if prediction is None else prediction
    check_choice("prediction", prediction, PREDICTIONS)
    if network is None:
        return Source(_checked(model), None, found, prediction, -1)
    check_network(network)

    def run(images: np.ndarray, times: np.ndarray, labels: np.ndarray | None) -> np.ndarray:
        inputs = [images, times] if len(network.inputs) == 2 else [images, times, np.full_like(times, -1) if labels is None else labels]
        return np.asarray(network.predict_on_batch(inputs), "float32")

    return Source(run, network, found, prediction, 1 if is_channels_first(network) else -1)


def _checked(function: Callable) -> Callable[[np.ndarray, np.ndarray, np.ndarray | None], np.ndarray]:
    """A user's function in place of a network, whose outputs are looked at."""

    def run(images: np.ndarray, times: np.ndarray, labels: np.ndarray | None) -> np.ndarray:
        given = function(images, times, labels)
        output = as_host_array(given) if hasattr(given, "dtype") else np.asarray(given)
        doubled = (*images.shape[:-1], 2 * images.shape[-1])
        if output.dtype.kind not in "fiu" or output.shape not in (images.shape, doubled):
            what = "None" if given is None else f"the shape {output.shape} of {output.dtype}"
            raise ValueError(
                f"`model`, a function, must give numbers of its images' shape {images.shape}, or where it learned the variance too, of "
                f"{doubled}. Received: {what}."
            )
        return output

    return run


def check_network(network: Any) -> None:
    """Raises unless this is a model of images and timesteps, and perhaps labels."""
    inputs = getattr(network, "inputs", None) if isinstance(network, keras.Model) else None
    if not inputs or len(inputs) not in (2, 3) or len(inputs[0].shape) != 4 or any(len(one.shape) != 1 for one in inputs[1:]):
        raise ValueError(
            "The network must be a functional keras.Model of [images, timesteps] or [images, timesteps, labels], such as "
            f"keras_resnet.models.diffusion_unet gives. Received: {type(network).__name__}"
            + ("." if not inputs else f" of {[tuple(one.shape) for one in inputs]}.")
        )


def check_labels(labels: np.ndarray, network: Any) -> None:
    """Raises unless these are classes of the network, or -1."""
    if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(f"Labels must be integers, (n,). Received: shape={labels.shape}, dtype={labels.dtype}.")
    if network is None or not labels.size:
        return
    if len(network.inputs) == 2:
        raise ValueError(f"The network {network.name!r} has no classes, and takes no labels. Build it with `classes`.")
    count = class_count(network)
    least, most = int(labels.min()), int(labels.max())
    if count is not None and (least < -1 or most >= count):
        raise ValueError(f"Labels must be from 0 to {count - 1}, or -1 for no class. Received: labels from {least} to {most}.")


def class_count(network: keras.Model) -> int | None:
    """How many classes a network says that it has."""
    return next((layer.classes for layer in network.layers if hasattr(layer, "classes")), None)


def _classes(labels: Any, guidance: float, num: int, source: Source) -> np.ndarray | None:
    if labels is None:
        if guidance != 1:
            raise ValueError(f"`guidance` leads to a class, which `labels` must say. Received: guidance={guidance!r}, labels=None.")
        return None
    classes = np.asarray(labels)
    classes = np.full(num, classes) if classes.ndim == 0 else classes
    check_labels(classes, source.network)
    if len(classes) != num:
        raise ValueError(f"`labels` must be one for all or one for each of {num} pictures. Received: {len(classes)} labels.")
    return classes.astype("int32")


def _shape(shape: Any, source: Source) -> tuple[int, ...]:
    own = None if source.network is None else tuple(source.network.inputs[0].shape[1:])
    if shape is None:
        if own is None or None in own:
            which = "a function" if own is None else f"the network, {own},"
            raise ValueError(f"Of {which} the size of pictures is not known: pass it by `shape`, such as shape=(32, 32, 3).")
        return own
    fits = isinstance(shape, (tuple, list)) and all(map(is_count, shape)) and len(shape) == (len(shape) if own is None else len(own))
    if not fits or (own is not None and any(o not in (None, s) for o, s in zip(own, shape, strict=True))):
        raise ValueError(f"`shape` must be that of one picture{'' if own is None else f' of {own}'}. Received: shape={shape!r}.")
    return tuple(int(length) for length in shape)


def _guided(source: Source, classes: np.ndarray | None, guidance: float) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """What the network gives for images and times, led to the classes."""
    if classes is None or guidance == 1:
        return lambda images, times: np.asarray(source.run(images, times, classes))

    def run(images: np.ndarray, times: np.ndarray) -> np.ndarray:
        both = np.concatenate([classes, np.full_like(classes, -1)])
        led, free = np.split(np.asarray(source.run(np.concatenate([images] * 2), np.concatenate([times] * 2), both)), 2)
        if led.shape == images.shape:
            return free + guidance * (led - free)
        # Only the noise is led; a learned variance is that of the class.
        axis = source.channel_axis
        (mean, sigma), (without, _) = np.split(led, 2, axis), np.split(free, 2, axis)
        return np.concatenate([without + guidance * (mean - without), sigma], axis)

    return run
