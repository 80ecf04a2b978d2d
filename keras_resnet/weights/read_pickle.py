"""PyTorch's `.pth`: read by its restricted unpickler alone, which builds tensors and plain containers and calls nothing else."""

import collections
import functools
import os
import pathlib
import re
import warnings
import zipfile
from collections.abc import Callable
from typing import Any

import numpy as np

from keras_resnet.weights import scan_pickle
from keras_resnet.weights.shown import shown

SAFE_SINCE = (2, 10)  # `weights_only=True` before it let code run: CVE-2025-32434 (2.5), CVE-2026-24747 (2.9)
# Where a training checkpoint keeps its weights; first, as timm does, their moving averages, which are those that were evaluated.
NESTS = ("state_dict_ema", "model_ema", "ema", "state_dict", "model_state_dict", "model", "module", "net", "network")
CONVERT = (
    "Where you trust it, convert it on a machine that has PyTorch 2.10 or newer: "
    "safetensors.torch.save_file(torch.load(path, weights_only=True), 'model.safetensors')."
)
EXTRACT = (  # with the longest name before it as much as one error shows
    "Only where you trust whoever made it, since this runs code that it holds, save its weights alone: "
    "torch.save(torch.load(path, weights_only=False)['state_dict'], 'weights.pth')"
)


class NotReadable(Exception):
    """There is no PyTorch, or none that is safe to read a pickle with."""


def tensors(path: pathlib.Path, limit: int) -> dict[str, tuple[tuple, str, Callable[[], np.ndarray]]]:
    """Shape, type and reader of every tensor of a state dict, also of one that lies in a training checkpoint.

    Raises:
        NotReadable: without a PyTorch that is new enough.
        Exception: of many kinds, where the file is damaged or would run code.
    """
    torch = _torch()
    is_archive = zipfile.is_zipfile(path)
    try:
        _check(path, is_archive, limit)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of pickles in another protocol, which it may refuse in the next step
            content = torch.load(path, map_location="cpu", weights_only=True, **(dict(mmap=True) if is_archive else {}))
        state = _state_dict(content, torch)
    except scan_pickle.Foreign as error:
        raise ValueError(f"{error}. {EXTRACT}") from error
    return {key: (tuple(t.shape), str(t.dtype).removeprefix("torch."), functools.partial(_numbers, t, torch)) for key, t in state.items()}


def _check(path: pathlib.Path, is_archive: bool, limit: int) -> None:
    """Raises where PyTorch is not to read the file at all."""
    if is_archive:
        with zipfile.ZipFile(path) as archive:
            size = sum(info.file_size for info in archive.infolist())
            if any(info.compress_type != zipfile.ZIP_STORED for info in archive.infolist()) or size > max(limit, 2 * os.path.getsize(path)):
                raise ValueError(f"it unpacks to {size:,} bytes, this model needs at most {limit:,}")
        scan_pickle.check_archive(path)
    else:
        with open(path, "rb") as file:
            if file.read(1) != b"\x80":
                raise ValueError("it does not begin as PyTorch's files do")
            file.seek(0)
            scan_pickle.check_sequence(file)


def write(path: str | os.PathLike, arrays: dict[str, np.ndarray]) -> None:
    """A state dict at `path`. Raises `ImportError` without PyTorch."""
    torch = _torch()
    torch.save(collections.OrderedDict((key, torch.from_numpy(np.array(array, order="C"))) for key, array in arrays.items()), path)


def _torch() -> Any:
    try:
        import torch
    except ImportError as error:
        raise NotReadable(f"Reading one needs PyTorch, which is not installed. {CONVERT}") from error
    found = tuple(int(number) for number in re.findall(r"\d+", torch.__version__)[:2])
    if found < SAFE_SINCE:
        raise NotReadable(f"With the installed PyTorch {torch.__version__} a file could run code. {CONVERT}")
    return torch


def _state_dict(content: Any, torch: Any) -> dict[str, Any]:
    for _ in range(3):
        if not isinstance(content, dict):
            break
        inner = next((content[nest] for nest in NESTS if isinstance(content.get(nest), dict) and content[nest]), None)
        if inner is None:
            break
        content = inner
    if not isinstance(content, dict) or not content:
        raise scan_pickle.Foreign("there is no state dict in it")
    found = {}
    for key, value in content.items():
        if key == "n_averaged":  # beside the weights in torchvision's model_ema, which torch.optim.swa_utils makes
            continue
        if not isinstance(key, str) or not isinstance(value, torch.Tensor):
            raise scan_pickle.Foreign(f"its entry {shown(key, 80)!r} is no tensor")
        if value.layout != torch.strided or value.is_quantized or value.device.type != "cpu":
            raise ValueError(f"its entry {shown(key, 80)!r} is no plain tensor")
        if value.numel() * value.element_size() > max(value.untyped_storage().nbytes(), 0):
            raise ValueError(f"its entry {shown(key, 80)!r} says to be larger than its numbers are")
        found[key] = value
    return found


def _numbers(tensor: Any, torch: Any) -> np.ndarray:
    tensor = tensor.detach()
    return np.array((tensor.float() if tensor.dtype in (torch.bfloat16, torch.float16) else tensor).numpy())
