"""Makes the golden files. Run by hand, where torch, torchvision and timm are installed: `python -m tests.golden.make_golden [NAME ...]`.

A file holds the names and shapes of the state dict, the running statistics (float16, which the network is then given: any numbers do
that both sides share), and the logits for two sizes of images. torchvision works them out in float64, timm where torchvision does not
have the network; where both have it they must agree.
"""

import inspect
import sys
from unittest import mock

import numpy as np
import torch

from benchmarks.peers import import_torchvision
from tests import tolerances
from tests.golden import seeded

torchvision = import_torchvision()
import timm  # noqa: E402  (it imports torchvision, which must have been brought in the way above)

STATISTICS_SEED, LOGITS_SEED = 1, 2
BATCHES, BATCH = 4, 16


def tensor(array) -> torch.Tensor:
    """Our images as PyTorch takes them."""
    return torch.from_numpy(array).permute(0, 3, 1, 2).double()


def with_seeded_weights(network: torch.nn.Module) -> torch.nn.Module:
    """Weights from the names of the parameters; running statistics as means over batches of images, rounded to float16."""
    with torch.no_grad():
        for key, parameter in network.named_parameters():
            parameter.copy_(torch.from_numpy(seeded.weight(key, tuple(parameter.shape))))
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.momentum = None  # a plain mean over all batches
                module.reset_running_stats()
        network.train()
        for batch in tensor(seeded.images(STATISTICS_SEED, BATCHES * BATCH, seeded.SIZES[0])).split(BATCH):
            network(batch)
        for key, buffer in network.named_buffers():
            if key.endswith(seeded.STATISTICS):
                buffer.copy_(buffer.half())
    return network.eval()


def logits(network: torch.nn.Module, size: int) -> np.ndarray:
    with torch.no_grad():
        return network(tensor(seeded.images(LOGITS_SEED, seeded.IMAGES, size))).numpy()


def timms(row: str, settings: dict) -> torch.nn.Module:
    """timm's network of this name, with other settings."""
    if "block_config" not in settings:
        return timm.create_model(row, **settings)
    # timm's own functions for DenseNets fix their depths.
    given: dict = {}
    with mock.patch.object(
        timm.models.densenet, "build_model_with_cfg", lambda *args, **kwargs: given.update(kwargs) or torch.nn.Identity()
    ):
        timm.create_model(row)
    names = inspect.signature(timm.models.densenet.DenseNet).parameters
    return timm.models.densenet.DenseNet(**{**{key: value for key, value in given.items() if key in names}, **settings})


def make(name: str) -> None:
    """Writes one golden file, or raises where the network would prove nothing."""
    case = seeded.CASES[name]
    build = None if case.timms else getattr(torchvision.models, case.row, None)
    network = with_seeded_weights((build() if build else timms(case.row, case.timms)).double())
    state = network.state_dict()
    answers = {size: logits(network, size) for size in case.sizes}
    for size, answer in answers.items():
        spread = seeded.spread(answer)
        print(f"{name} at {size} px: logits up to {abs(answer).max():.2f}, spread between images {spread:.2f}")
        assert spread > case.least_spread, f"{name}'s logits at {size} px hardly depend on the image: {spread:.3f}"
    if build:
        twin = timm.create_model(name).double().eval()
        twin.load_state_dict(state, strict=True)
        for size, answer in answers.items():
            assert tolerances.difference(logits(twin, size), answer) < 1e-12, f"timm and torchvision differ at {name}"
    statistics = torch.cat([torch.zeros(0), *(value for key, value in state.items() if key.endswith(seeded.STATISTICS))])
    np.savez_compressed(
        seeded.FOLDER / f"{name}.npz",
        tensors="\n".join(" ".join([key, *map(str, value.shape)]) for key, value in state.items()),
        statistics=statistics.numpy().astype("float16"),
        made_with=f"torch {torch.__version__}, torchvision {torchvision.__version__}, timm {timm.__version__}",
        **{f"logits{size}": answer.astype("float32") for size, answer in answers.items()},
    )


if __name__ == "__main__":
    for each in sys.argv[1:] or seeded.NAMES:
        make(each)
