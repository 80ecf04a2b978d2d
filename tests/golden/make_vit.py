"""Makes the golden files of the transformers. Run by hand, where torch and timm are installed: `python -m tests.golden.make_vit`.

A file holds the names and shapes of timm's state dict, and the logits that timm works out in float64.
"""

import numpy as np
import torch

from benchmarks.peers import import_torchvision
from tests.golden import seeded, seeded_vit

import_torchvision()
import timm  # noqa: E402  (it imports torchvision, which must have been brought in the way above)


def make(name: str) -> None:
    """Writes one golden file, or raises where the network would prove nothing."""
    _, smaller, least_spread = seeded_vit.CASES[name]
    any_size = dict(dynamic_img_size=True, dynamic_img_pad=True)
    network = timm.create_model(name, num_classes=1000, **any_size, **smaller).double().eval()
    state = network.state_dict()
    with torch.no_grad():
        for key, parameter in network.named_parameters():
            parameter.copy_(torch.from_numpy(seeded_vit.weight(key, tuple(parameter.shape))))
    answers = {}
    for size in seeded_vit.SIZES:
        with torch.no_grad():
            answer = network(torch.from_numpy(seeded_vit.images(size)).permute(0, 3, 1, 2).double()).numpy()
        spread = seeded.spread(answer)
        print(f"{name} at {size} px: logits up to {abs(answer).max():.2f}, spread between images {spread:.2f}")
        assert spread > least_spread, f"{name}'s logits at {size} px hardly depend on the image: {spread:.3f}"
        answers[seeded_vit.name_of(size)] = answer.astype("float32")
    np.savez_compressed(
        seeded.FOLDER / f"{name}.npz",
        tensors="\n".join(" ".join([key, *map(str, value.shape)]) for key, value in state.items()),
        made_with=f"torch {torch.__version__}, timm {timm.__version__}",
        **answers,
    )


if __name__ == "__main__":
    for each in seeded_vit.CASES:
        make(each)
