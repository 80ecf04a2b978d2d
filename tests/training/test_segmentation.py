"""Masks are learnt of pictures as they lie in folders: of any sizes, grey or in colours, with pixels that do not count."""

import keras
import numpy as np
import pytest
from PIL import Image

from training import callbacks
from training.__main__ import main


def written(folder, channels: int) -> None:
    """Pictures of many sizes, and masks with 255 in them."""
    rng = np.random.default_rng(0)
    for kind in ("images", "masks"):
        (folder / kind).mkdir(parents=True)
    for number in range(20):
        height, width = rng.integers(40, 90, 2)
        image, mask = rng.integers(0, 80, (height, width, channels)), np.zeros((height, width), "uint8")
        image[5:25, 8:30] += 120
        mask[5:25, 8:30], mask[:3] = 1, 255
        Image.fromarray(image.squeeze().astype("uint8")).save(folder / "images" / f"{number}.png")
        Image.fromarray(mask).save(folder / "masks" / f"{number}.png")


@pytest.mark.parametrize(("channels", "words"), [(1, []), (3, ["channels=3", "mean=120,110,100", "deviation=60,60,60"])])
def test_a_folder_of_pictures_of_many_sizes(channels, words, tmp_path):
    written(tmp_path / "data", channels)
    settings = [word for one in words for word in ("--set", f"data.{one}")]
    assert main(["segmentation_nnunet2d", "--quick", "--data", str(tmp_path / "data"), "--out", str(tmp_path / "run"), *settings]) == 0
    log = callbacks.rows(tmp_path / "run" / "log.csv")
    assert len(log) == 2
    for row in log:
        assert all(np.isfinite(value) for value in row.values()), row
        assert 0 <= row["val_out_iou"] <= 1
    network = keras.models.load_model(tmp_path / "run" / "model.keras")
    assert network.predict(np.zeros((1, 50, 41, channels)), verbose=0).shape == (1, 50, 41, 2)
