"""What a recipe is: plain values that say all of a training. No framework is needed to read or to check one."""

import dataclasses
from typing import Any, Literal

Task = Literal["classification", "segmentation", "diffusion"]


@dataclasses.dataclass(frozen=True)
class Data:
    """What is learnt from, and how its pictures come to the network."""

    name: str = "fashion_mnist"  # as TFDS calls it; --data says where it is
    classes: int = 10
    size: int = 28  # height and width in training, in pixels
    channels: int = 1
    mean: tuple[float, ...] = (72.94,)  # of each channel, for values from 0 to 255
    deviation: tuple[float, ...] = (90.02,)
    test_size: int | None = None  # height and width in testing; none: as in training
    test_crop: float = 0.875  # side of the middle that is tested on, of the shorter side; folders of pictures only
    squeeze: bool = False  # whether pictures are made square, as a whole, before they are cut; folders of pictures only
    interpolation: Literal["bilinear", "bicubic", "random"] = "bilinear"  # in training; one of both for each; folders of pictures only
    test_interpolation: Literal["bilinear", "bicubic"] = "bilinear"  # in testing; folders of pictures only
    held_back: float = 0.1  # share of the pictures to test on, where a set has none for that


@dataclasses.dataclass(frozen=True)
class Network:
    """Which network of the zoo, and what differs from its row."""

    name: str = "resnet20"
    settings: dict[str, Any] = dataclasses.field(default_factory=dict)  # arguments of its builder
    weights: str | None = None  # to start from: a tag or a file; none: random numbers
    zero_head: bool = False  # whether the classifier starts at zero; classification only
    dropout: float = 0.0  # share of the features in front of the classifier that training sets to zero; classification only
    quick: dict[str, Any] = dataclasses.field(default_factory=dict)  # arguments of its builder that make it small, for --quick


@dataclasses.dataclass(frozen=True)
class Loss:
    """What is made small."""

    kind: Literal["cross_entropy", "binary", "dice_cross_entropy", "noise"] = "cross_entropy"
    smoothing: float = 0.0  # share of each target that is spread over all classes, below 1
    threshold: float | None = None  # binary: what targets are above it become 1, others 0


@dataclasses.dataclass(frozen=True)
class Optimizer:
    """By which steps."""

    kind: Literal["sgd", "lamb", "adamw", "adam"] = "sgd"
    rate: float = 0.1  # the highest learning rate
    momentum: float = 0.9  # sgd only
    nesterov: bool = False
    weight_decay: float = 1e-4
    decay_all: bool = True  # whether norms and biases decay, too
    clip_norm: float | None = None  # the most that the norm of all gradients may be
    accumulate: int = 1  # batches whose gradients make one step
    average: float | None = None  # share of the averaged weights that stays each step; none: no averages


@dataclasses.dataclass(frozen=True)
class Schedule:
    """How the learning rate changes; times in epochs."""

    kind: Literal["step", "cosine", "polynomial", "constant"] = "step"
    warm_up: float = 0.0  # epochs of a linear rise
    start: float = 0.0  # share of the rate that the rise begins at
    hold: bool = False  # whether the rate stays there for those epochs, and does not rise until they are over
    milestones: tuple[float, ...] = ()  # step: epochs at which it falls
    factor: float = 0.1  # step: what it falls to each time
    power: float = 0.9  # polynomial


@dataclasses.dataclass(frozen=True)
class Augmentation:
    """How pictures are changed, in this order."""

    crop_area: tuple[float, ...] = ()  # least and largest share of the picture in a random-resized crop; empty: none
    crop_ratio: tuple[float, ...] = (3 / 4, 4 / 3)  # least and largest width of that crop over its height
    flip: bool = True  # left and right, each second picture
    trivial: bool = False  # TrivialAugment, in place of RandAugment
    rand_magnitude: float | None = None  # of RandAugment, 0 to 10; none: no RandAugment
    rand_count: int = 2  # operations for each picture
    rand_deviation: float | None = 0.5  # of the magnitude; none: uniform up to it
    rand_chance: float = 0.5  # of each operation
    rand_increasing: bool = True  # whether all operations grow stronger with the magnitude
    rand_translate: float = 0.45  # share of the side that pictures are moved by at magnitude 10
    rand_cutout: float = (
        0.0  # half the side of a square that one operation more fills at magnitude 10, as a share of the picture's; 0: none
    )
    pad: int = 0  # pixels around the picture before it is cut to its size again, at random
    pad_mode: Literal["constant", "reflect"] = "constant"  # whether those pixels are the mean, or the picture mirrored
    erasing: float = 0.0  # share of pictures with a rectangle that is erased
    erasing_fill: Literal["noise", "mean"] = "noise"  # by what
    mixup: float = 0.0  # alpha; 0: none
    cutmix: float = 0.0  # alpha; 0: none
    mix_per: Literal["image", "batch"] = "batch"  # what has a mixture of its own
    repeats: int = 1  # times that a picture comes in a row, each changed otherwise


@dataclasses.dataclass(frozen=True)
class Distribution:
    """How several devices share the work, where the program is launched on such; `batch` is that of all together."""

    kind: Literal["data", "fsdp", "model"] = "data"  # what is split: each batch. The other two are refused, with the reason
    sync_norm: bool = False  # whether batch normalization takes its statistics over the whole batch, not over each replica's part
    timeout: float = 600.0  # seconds after which a process that waits for another gives up


@dataclasses.dataclass(frozen=True)
class Recipe:
    """A whole training."""

    name: str
    task: Task = "classification"
    data: Data = Data()
    network: Network = dataclasses.field(default_factory=Network)
    loss: Loss = Loss()
    optimizer: Optimizer = Optimizer()
    schedule: Schedule = Schedule()
    augmentation: Augmentation = Augmentation()
    distribution: Distribution = Distribution()
    epochs: int = 164
    steps: int | None = None  # batches that count as an epoch; none: once through the data
    batch: int = 128  # pictures
    precision: Literal["float32", "bfloat16", "float16"] = "float32"  # the latter two mixed, with weights in float32
    seed: int = 0
    published: str = ""  # result and its source
