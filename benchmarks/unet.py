"""A U-Net on ResNet-34 at 256 px, turn by turn beside segmentation_models.pytorch's (PyTorch) and the same of Keras's own layers.

    KERAS_BACKEND=torch python -m benchmarks.unet --task inference --batch 4 --repeats 9

One run is one backend and task. Medians over rounds; a ratio above 1 says that ours is faster.
"""

import argparse
import statistics
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import layers

import keras_resnet
from benchmarks import peers
from benchmarks.speed import inference_step, measure


def stock_unet(size: int) -> keras.Model:
    """The network of `keras_resnet.UNet("resnet34")` as one writes it with Keras's layers."""

    def conv(x: Any, filters: int, kernel_size: int, strides: int = 1) -> Any:
        if strides > 1 and kernel_size > 1:  # Keras's "same" would pad one side only
            x = layers.ZeroPadding2D(kernel_size // 2)(x)
        padding = "valid" if strides > 1 else "same"
        x = layers.Conv2D(filters, kernel_size, strides, padding, use_bias=False)(x)
        return layers.BatchNormalization(momentum=0.9, epsilon=1e-5)(x)

    image = keras.Input((size, size, 3))
    x = layers.ReLU()(conv(image, 64, 7, 2))
    maps = [image, x]
    x = layers.MaxPooling2D(3, 2)(layers.ZeroPadding2D(1)(x))  # of what a ReLU left, which zeros never beat
    for stage, (depth, width) in enumerate(zip((3, 4, 6, 3), (64, 128, 256, 512), strict=True)):
        for block in range(depth):
            strides = 2 if block == 0 and stage > 0 else 1
            y = conv(layers.ReLU()(conv(x, width, 3, strides)), width, 3)
            shortcut = conv(x, width, 1, strides) if strides > 1 else x
            x = layers.ReLU()(layers.Add()([y, shortcut]))
        maps.append(x)
    x = maps.pop()
    for width in (256, 128, 64, 32, 16):
        x = layers.UpSampling2D(2)(x)
        skip = maps.pop()
        x = layers.Concatenate()([x, skip]) if skip is not image else x
        for _ in range(2):
            x = layers.ReLU()(conv(x, width, 3))
    return keras.Model(image, layers.Conv2D(1, 3, padding="same")(x))


def training_step(model: keras.Model, images: np.ndarray, masks: np.ndarray) -> Callable[[], object]:
    """One step of SGD with momentum through `train_on_batch`."""
    model.compile(keras.optimizers.SGD(0.01, momentum=0.9), keras.losses.BinaryCrossentropy(from_logits=True))
    return lambda: float(np.asarray(model.train_on_batch(images, masks)))


def smp_steps(task: str, images: np.ndarray, masks: np.ndarray) -> dict[str, Callable[[], object]]:
    """segmentation_models.pytorch's, eager, in channels-last memory; nothing where it is not installed."""
    try:
        peers.import_torchvision()
        import segmentation_models_pytorch as smp
        import torch
    except ImportError:
        return {}
    model = smp.Unet("resnet34", encoder_weights=None).to(memory_format=torch.channels_last)
    x = torch.from_numpy(images.transpose(0, 3, 1, 2)).contiguous(memory_format=torch.channels_last)
    if task == "inference":
        return {"smp": peers.torch_inference(model.eval(), x)}
    y = torch.from_numpy(masks.transpose(0, 3, 1, 2)).float()
    optimizer = torch.optim.SGD(model.parameters(), 0.01, momentum=0.9)
    loss = torch.nn.BCEWithLogitsLoss()

    def step() -> float:
        optimizer.zero_grad(set_to_none=True)
        value = loss(model(x), y)
        value.backward()
        optimizer.step()
        return float(value.detach())

    return {"smp": step}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", choices=("inference", "training"), default="inference")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--size", type=int, default=256, help="height and width in pixels")
    parser.add_argument("--repeats", type=int, default=7, help="timed rounds")
    args = parser.parse_args()
    generator = np.random.default_rng(0)
    images = generator.standard_normal((args.batch, args.size, args.size, 3), dtype="float32")
    masks = generator.integers(0, 2, (args.batch, args.size, args.size, 1)).astype("float32")
    networks = {"keras_resnet": keras_resnet.UNet("resnet34", input_shape=(args.size, args.size, 3)), "stock Keras": stock_unet(args.size)}
    assert len({sum(int(np.prod(v.shape)) for v in model.trainable_variables) for model in networks.values()}) == 1
    steps = {
        name: inference_step(model, images) if args.task == "inference" else training_step(model, images, masks)
        for name, model in networks.items()
    }
    if keras.backend.backend() == "torch":
        steps |= smp_steps(args.task, images, masks)
    seconds = {name: statistics.median(values) for name, values in measure(steps, args.repeats, warmup=2).items()}
    for name, value in seconds.items():
        ratio = "" if name == "keras_resnet" else f", ours {value / seconds['keras_resnet']:.2f} x"
        print(f"{keras.backend.backend()} {args.task} batch {args.batch}: {name} {value * 1000:.0f} ms{ratio}", flush=True)


if __name__ == "__main__":
    main()
