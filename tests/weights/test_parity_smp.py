"""Networks for dense prediction beside segmentation_models.pytorch: its state dicts load, and give its numbers; ours load there."""

import importlib.util

import numpy as np
import pytest

import keras_resnet
from tests import tolerances
from tests.arrays import as_numpy
from tests.check_layer import run
from tests.golden import seeded
from tests.weights import files

SIZES = ((64, 96), (65, 97))  # that 32 divides, and that nothing divides
# Its class, the encoder, its arguments and ours; whether it is left to `-m full`.
CASES = {
    "Unet-resnet18": ("Unet", "resnet18", {}, {}, False),
    "Unet-resnet34": ("Unet", "resnet34", {}, {}, True),
    "Unet-resnet50": ("Unet", "resnet50", dict(in_channels=4), dict(input_shape=(None, None, 4)), True),
    "Unet-densenet121": ("Unet", "densenet121", dict(classes=3), dict(classes=3), True),
    "Unet-resnet34-scse": ("Unet", "resnet34", dict(decoder_attention_type="scse"), dict(attention="scse"), True),
    "Unet-resnet34-grey": ("Unet", "resnet34", dict(in_channels=1), dict(input_shape=(None, None, 1)), True),
    "Unet-resnet18-no_norm": ("Unet", "resnet18", dict(decoder_use_norm=False), dict(norm=None), True),
    "UnetPlusPlus-resnet34": ("UnetPlusPlus", "resnet34", {}, {}, True),
    "FPN-resnet34": ("FPN", "resnet34", {}, {}, True),
    "FPN-resnet50": ("FPN", "resnet50", dict(classes=3), dict(classes=3), True),
    "DeepLabV3Plus-resnet34": ("DeepLabV3Plus", "resnet34", {}, {}, True),
    "DeepLabV3Plus-resnet50": (
        "DeepLabV3Plus",
        "resnet50",
        dict(in_channels=4, encoder_output_stride=8),
        dict(input_shape=(None, None, 4), output_stride=8),
        True,
    ),
}


@pytest.mark.filterwarnings("ignore")  # of the peer's own libraries
@pytest.mark.parametrize("name", [pytest.param(name, marks=pytest.mark.full) if case[-1] else name for name, case in CASES.items()])
def test_both_ways(name, tmp_path):
    missing = [one for one in ("torch", "torchvision", "timm", "segmentation_models_pytorch") if importlib.util.find_spec(one) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")
    from tests.weights import torch_peers  # first: it imports torchvision in the way that needs no GPU

    import safetensors.torch  # isort: skip
    import segmentation_models_pytorch as smp  # isort: skip

    kind, encoder, theirs, ours, _ = CASES[name]
    channels = theirs.get("in_channels", 3)
    made = torch_peers.numbered(getattr(smp, kind)(encoder, encoder_weights=None, **theirs), channels).eval()
    path = torch_peers.write(made, tmp_path / "theirs.safetensors")
    model = getattr(keras_resnet, {"Unet": "UNet", "UnetPlusPlus": "UNetPlusPlus"}.get(kind, kind))(encoder, **ours, weights=path)
    sizes = SIZES[:1] if kind == "UnetPlusPlus" else SIZES  # which takes no others there
    images = [seeded.images(3, 2, 97)[:, :height, :width, np.arange(channels) % 3] for height, width in sizes]
    for image in images:
        expected = _maps(torch_peers, made, image)
        found = tolerances.difference(as_numpy(run(model, image)), expected)
        print(f"{name} {image.shape[1]}x{image.shape[2]}: largest difference {found:.1e}")  # shown by -s
        assert found < tolerances.GOLDEN
    files.filled(model, 5)
    keras_resnet.save_weights(model, tmp_path / "ours.safetensors")
    state = safetensors.torch.load_file(tmp_path / "ours.safetensors")
    missing, unexpected = made.load_state_dict(state, strict=False)
    assert unexpected == []
    assert all(key.startswith("decoder.blocks.4.attention1.") for key in missing)  # which it has there and never calls
    assert tolerances.difference(as_numpy(run(model, images[0])), _maps(torch_peers, made, images[0])) < tolerances.GOLDEN


def _maps(torch_peers, made, images: np.ndarray) -> np.ndarray:
    if type(made).__name__ not in ("FPN", "DeepLabV3Plus") or images.shape[1] % 32 == images.shape[2] % 32 == 0:
        return torch_peers.logits(made, images).transpose(0, 2, 3, 1)
    import torch

    from tests.weights.smp_any_size import any_size

    with torch.no_grad():
        maps = any_size(made.double(), torch.from_numpy(images.transpose(0, 3, 1, 2).copy()).double())
    made.float()
    return maps.numpy().transpose(0, 2, 3, 1)
