"""The networks that ours are measured against and that speak no Keras: torchvision's, on PyTorch."""

import contextlib
from collections.abc import Callable
from typing import Any

import numpy as np


def import_torchvision() -> Any:
    """torchvision, also where its compiled operations do not load because PyTorch is a CPU build; `None` where it is missing."""
    import torch

    for name, signature in (
        ("nms", "(Tensor dets, Tensor scores, float threshold) -> Tensor"),
        ("roi_align", "(Tensor x, Tensor rois, float scale, int h, int w, int ratio, bool aligned) -> Tensor"),
    ):
        with contextlib.suppress(RuntimeError):
            torch.library.define(f"torchvision::{name}", signature)
    try:
        import torchvision
    except ImportError:
        return None
    return torchvision


def torch_inference(model: Callable, images: Any) -> Callable[[], object]:
    """A call without gradient tape that waits for the device."""
    import torch

    def step() -> object:
        with torch.no_grad():
            y = model(images)
        if images.is_cuda:
            torch.cuda.synchronize()
        return y

    return step


def torchvision_steps(task: str, images: np.ndarray, labels: np.ndarray, policy: str) -> dict[str, Callable[[], object]]:
    """torchvision's ResNet-50, eager, channels-last; bfloat16 by autocast, and for inference also with bfloat16 weights."""
    import torch

    torchvision = import_torchvision()
    if torchvision is None:
        return {}
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = torchvision.models.resnet50(weights=None).to(device, memory_format=torch.channels_last)
    x = torch.from_numpy(images).permute(0, 3, 1, 2).to(device, memory_format=torch.channels_last)
    y = torch.from_numpy(labels).to(device)
    mixed = policy == "mixed_bfloat16"

    def forward(net: Any, inputs: Any) -> Any:
        with torch.autocast(device, torch.bfloat16, enabled=mixed):
            return net(inputs)

    if task == "inference":
        model.eval()
        steps = {"torchvision": torch_inference(lambda inputs: forward(model, inputs), x)}
        if mixed:
            half = torchvision.models.resnet50(weights=None).eval().to(device, torch.bfloat16, memory_format=torch.channels_last)
            steps["torchvision, bfloat16 weights"] = torch_inference(lambda inputs: half(inputs.bfloat16()), x)
        if device == "cuda":
            compiled = torch.compile(model)
            steps["torchvision, compiled"] = torch_inference(lambda inputs: forward(compiled, inputs), x)
        return steps
    steps = {"torchvision": _training(forward, model, x, y)}
    if device == "cuda":
        steps["torchvision, compiled"] = _training(
            forward, torch.compile(torchvision.models.resnet50(weights=None).to(device, memory_format=torch.channels_last)), x, y
        )
    return steps


def _training(forward: Callable, model: Any, x: Any, y: Any) -> Callable[[], object]:
    import torch

    model.train()
    optimizer = torch.optim.SGD(model.parameters(), 0.01, momentum=0.9)

    def step() -> float:
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(forward(model, x).float(), y)
        loss.backward()
        optimizer.step()
        return loss.item()

    return step
