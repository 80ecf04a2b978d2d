"""timm's and torchvision's networks with numbers of their own, and their answers. To be imported where torch, torchvision and timm are."""

import pathlib
import re
import warnings

import numpy as np
import safetensors.torch
import torch

from benchmarks.peers import import_torchvision
from tests.golden import seeded, seeded_vit

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # what they say when they are imported is not ours to mend
    torchvision = import_torchvision()
    import timm

STATISTICS_SEED, BATCH = 1, 16


def network(source: str, name: str, numbers: bool = True) -> torch.nn.Module:
    """The network of a source. Its numbers are drawn from the names of its tensors, its running statistics those of a batch of images."""
    # Some transformers, of which no file has a head, timm makes without.
    made = timm.create_model(name, num_classes=1000) if source == "timm" else getattr(torchvision.models, name)()
    return numbered(made).eval() if numbers else made.eval()


def numbered(made: torch.nn.Module, channels: int = 3) -> torch.nn.Module:
    """A network of images of so many channels, its numbers drawn from the names of its tensors, its statistics those of a batch."""
    norms = [module for module in made.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    with torch.no_grad():
        for key, parameter in made.named_parameters():
            parameter.copy_(torch.from_numpy(seeded_vit.weight(key, tuple(parameter.shape))))
        for norm in norms:
            norm.momentum = 1.0  # the last batch alone, which is the only one
        if norms:
            made.train()(_tensor(seeded.images(STATISTICS_SEED, BATCH, 64)[..., np.arange(channels) % 3]).float())
    return made


def _tensor(images: np.ndarray) -> torch.Tensor:
    """Our images as PyTorch takes them."""
    return torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2))).double()


def logits(made: torch.nn.Module, images: np.ndarray) -> np.ndarray:
    """Worked out in float64, the network left as it was."""
    with torch.no_grad():
        answer = made.double()(_tensor(images)).numpy()
    made.float()
    return answer


def write(made: torch.nn.Module, path: pathlib.Path, spelling: tuple[str, str] | None = None) -> pathlib.Path:
    """Writes the network as its source does; with the keys spelled in another way: `spelling` is a pattern and what stands for it."""
    state = {re.sub(*spelling, key) if spelling else key: value.contiguous() for key, value in made.state_dict().items()}
    if path.suffix == ".safetensors":
        safetensors.torch.save_file(state, path)
    else:
        torch.save(state, path)
    return path


def read(made: torch.nn.Module, path: pathlib.Path) -> torch.nn.Module:
    """Reads a file as timm and torchvision do: every key used, none left over."""
    state = safetensors.torch.load_file(path) if path.suffix == ".safetensors" else torch.load(path, weights_only=True)
    made.load_state_dict(state, strict=True)
    return made


def shapes(source: str, name: str) -> dict[str, tuple[int, ...]]:
    """What a file of this network holds, without the memory for it."""
    with torch.device("meta"):
        state = network(source, name, numbers=False).state_dict()
    return {key: tuple(value.shape) for key, value in state.items()}
