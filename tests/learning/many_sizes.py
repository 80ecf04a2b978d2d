"""One process of several that test on pictures of many sizes: `python -m tests.learning.many_sizes FOLDER [DEVICE ...]`."""

import os
import pathlib
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

from keras_resnet import learning, losses, metrics
from tests.learning.one_of_several import several_devices

SIZES = ((9, 8), (9, 8), (6, 11), (12, 8), (7, 7))


def pairs(replicas: learning.Replicas, batch: int | None = None, **settings) -> learning.Pairs:
    """Of which the first two have one size."""
    rng = np.random.default_rng(0)
    images = [rng.normal(size=(*size, 2)).astype("float32") for size in SIZES]
    masks = [(image[..., 0] > 0.3).astype("uint8") for image in images]
    batch = batch or replicas.least_test_batch
    return learning.Pairs(images, masks, None, batch, shuffle=False, part=replicas.part_to_test(len(images), batch), **settings)


def tested(replicas: learning.Replicas) -> dict[str, float]:
    """Loss and overlap: of a test by itself, and of the one behind an epoch of nothing learnt."""
    with replicas.scope():
        keras.utils.set_random_seed(0)
        image = keras.Input((None, None, 2))
        model = keras.Model(image, keras.layers.Conv2D(2, 3, padding="same")(image))
        model.compile(learning.SGD(0.0), losses.DiceCrossEntropy(), metrics=[metrics.IoU(classes=2)])
    replicas.adopt(model)
    found = model.evaluate(replicas.testing(pairs(replicas)), return_dict=True, verbose=0)
    data = (np.zeros((8 // replicas.processes, 8, 8, 2), "float32"), np.zeros((8 // replicas.processes, 8, 8), "uint8"))
    fetched = replicas.training(data for _ in range(2))
    test = replicas.testing(pairs(replicas))
    behind = model.fit(fetched, steps_per_epoch=1, epochs=2, validation_data=test, shuffle=False, verbose=0).history
    return found | {name: values[-1] for name, values in behind.items() if name.startswith("val_")}


def main(folder: str, devices: list[str]) -> None:
    """Writes what came of it."""
    several_devices(devices)
    replicas = learning.distribute(devices=devices or None, timeout=60)
    said = ""
    try:
        replicas.testing(pairs(replicas, 2))
    except ValueError as error:
        said = str(error)
    np.savez(pathlib.Path(folder) / f"{replicas.rank}.npz", count=replicas.count, said=said, **tested(replicas))
    replicas.close()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
