"""Makes smp.npz. Run by hand where segmentation_models.pytorch 0.6.0 is installed: `python -m tests.golden.make_smp`."""

import warnings

import numpy as np
import torch

from benchmarks.peers import import_torchvision
from tests.golden.seeded_smp import CASES, ENCODER, FILE, SIZES, image, weight
from tests.weights.smp_any_size import any_size


def main() -> None:
    """Writes the file: logits, and names and shapes of all tensors."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import_torchvision()
        import segmentation_models_pytorch as smp
    found = {}
    for name, (kind, settings, *_) in CASES.items():
        made = getattr(smp, kind)(ENCODER, encoder_weights=None, **settings).double().eval()
        state = made.state_dict()
        for key, value in state.items():
            if not key.endswith("num_batches_tracked"):
                value.copy_(torch.from_numpy(np.asarray(weight(key, tuple(value.shape)))))
        found[f"{name}/tensors"] = np.frombuffer("\n".join(f"{k} {' '.join(map(str, v.shape))}" for k, v in state.items()).encode(), "u1")
        for size in SIZES:
            x = torch.from_numpy(image(name, size).transpose(0, 3, 1, 2).copy()).double()
            with torch.no_grad():
                y = any_size(made, x)
                if size[0] % 32 == size[1] % 32 == 0:
                    assert torch.allclose(y, made(x), rtol=1e-9)
            found[f"{name}/{size[0]}x{size[1]}"] = y.numpy().transpose(0, 2, 3, 1).astype("float32")
    np.savez_compressed(FILE, **found)


if __name__ == "__main__":
    main()
