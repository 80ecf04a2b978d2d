"""Makes the golden files of the diffusion U-Nets. Run by hand, where torch and diffusers are: `python -m tests.golden.make_diffusion`.

A file holds the names and shapes of the tensors of diffusers' network, and its output, in float64.
"""

import numpy as np
import torch

from benchmarks.peers import import_torchvision
from tests.golden import seeded, seeded_diffusion

import_torchvision()
import diffusers  # noqa: E402  (it imports torchvision, which must have been brought in the way above)


def make(name: str) -> None:
    """Writes one golden file, or raises where the network would prove nothing."""
    network = diffusers.UNet2DModel(sample_size=32, in_channels=3, **seeded_diffusion.CASES[name].theirs)
    network = network.double().eval()
    if name == "diffusion_symmetric":
        middle = network.mid_block.attentions[0]  # as many heads as elsewhere, where diffusers would have as wide ones
        middle.heads, middle.scale = 2, 32**-0.5
    state = network.state_dict()
    with torch.no_grad():
        for key, parameter in network.named_parameters():
            parameter.copy_(torch.from_numpy(np.asarray(seeded_diffusion.weight(key, tuple(parameter.shape)))))
        images = torch.from_numpy(seeded_diffusion.images()).permute(0, 3, 1, 2).double()
        labels = torch.tensor(seeded_diffusion.LABELS) if network.class_embedding is not None else None
        steps = torch.tensor(seeded_diffusion.TIMESTEPS)
        output, swapped = (network(images, t, labels).sample.permute(0, 2, 3, 1).numpy() for t in (steps, steps.flip(0)))
    moved = np.abs(swapped - output).max() / np.abs(output).max()
    spread = seeded.spread(output)
    print(f"{name}: up to {abs(output).max():.2f}, spread between images {spread:.2f}, by the time {moved:.2f}")
    assert spread > 0.2
    assert moved > 0.05
    np.savez_compressed(
        seeded.FOLDER / f"{name}.npz",
        tensors="\n".join(" ".join([key, *map(str, value.shape)]) for key, value in state.items()),
        made_with=f"torch {torch.__version__}, diffusers {diffusers.__version__}",
        output=output.astype("float32"),
    )


if __name__ == "__main__":
    for each in seeded_diffusion.CASES:
        make(each)
