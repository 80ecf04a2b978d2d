"""Writes `docs/checkpoints.md` from the catalogue, and from `docs/models.md` the table of networks that the command line reads.

KERAS_BACKEND=jax python -m tests.checkpoints_table        or `make docs`
"""

import csv
import io
import pathlib

from keras_resnet.weights.catalogue import CATALOGUE, DEFAULTS, Checkpoint
from keras_resnet.zoo import TASKS, list_models
from tests import docs_table

ROOT = pathlib.Path(__file__).parents[1]
PATH = ROOT / "docs" / "checkpoints.md"
NETWORKS = ROOT / "keras_resnet_cli" / "networks.csv"
HEAD = f"""# The published weights

Written by `make docs` from `keras_resnet/weights/catalogue.csv`; a test holds it up to date. There are {len(CATALOGUE)} sets of weights
for {len({row.model for row in CATALOGUE.values()})} networks; `keras_resnet.create_model("resnet50.a1_in1k")` builds one by name.

* **Bold**: what `weights="imagenet"` means, the default of timm where timm has one. {len(DEFAULTS)} networks have such weights.
* Size: height and width in pixels that the weights were trained with or are used with by default, and behind a slash the larger size at
  which their accuracy is published.
* Crop: the part of the resized picture's shorter side that is left, at each of the two sizes; then how the picture is resized.
* Mode: "torch" takes the mean from pixels in 0..1 and divides by the standard deviation (ImageNet's, where nothing else is said), "tf" maps
  them to -1..1, "caffe" takes the mean from blue, green and red in 0..255.
* Top-1: published accuracy in percent on the validation pictures of ImageNet; not measured here.
* Licence: of the weights, as their authors state it. **Not commercial** stands where it forbids commercial use, "unknown" where the
  authors state none.
"""
SOURCES = {
    "timm": """## timm

Files `model.safetensors` of the repositories `timm/<name>` of the Hugging Face hub, which names their digests itself. Sizes, crops,
licences and classes are those of timm 1.0.31, accuracies those of its `results-imagenet.csv` (commit aa4b5850).""",
    "torchvision": """## torchvision

Files of `https://download.pytorch.org/models/`; their names end in the first 8 digits of their SHA-256. Also
`weights="torchvision/IMAGENET1K_V2"`. Sizes, crops and accuracies are those of torchvision 0.26; torchvision's licence is BSD-3-Clause, and
of the weights it states no other.""",
    "keras": """## keras.applications

Files of `https://storage.googleapis.com/tensorflow/keras-applications/`, each with a second one without the head; MD5 digests are public.
Also `weights="keras/imagenet"`. Accuracies are those of keras-team/keras-applications (commit bc89834), for which it names the size and
"single center crop"; how it resized is not published, and the crop of 0.875, bilinear, is the usual one.
Licences are those of the weights that were ported, as Keras 2's documentation names them.""",
    "bit": """## Big Transfer

Files of `https://storage.googleapis.com/bit_models/`. No digest is public. `bit_s` was trained on ImageNet, `bit_m` on ImageNet-21k, with
21,843 outputs, and `bit_m_in21k_ft_in1k` was fine-tuned on ImageNet. Sizes and crops are those of timm's copies of the same weights, and so
are accuracies, but for the two distilled networks, of which the authors' README states them.""",
}
COLUMNS = "| name | size | crop | mode | classes | top-1 | licence |\n|:--|--:|:--|:--|--:|--:|:--|"
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def line(row: Checkpoint) -> str:
    """A checkpoint's line of the table."""
    larger = (row.test_input_size, row.test_crop) != (row.input_size, row.crop)
    crop = f"{row.crop:g} / {row.test_crop:g}" if larger else f"{row.crop:g}"
    own = "" if row.mode != "torch" or (row.mean, row.std) == IMAGENET else f", mean {row.mean}, deviation {row.std}"
    cells = (
        f"**`{row.name}`**" if DEFAULTS.get(row.model) == row.tag else f"`{row.name}`",
        f"{row.input_size} / {row.test_input_size}" if larger else str(row.input_size),
        f"{crop} {row.crop_mode}, {row.interpolation}",
        f"{row.mode}{own}",
        f"{row.classes:,}" if row.classes else "no head",
        "" if row.top1 is None else f"{row.top1:g}",
        f"{row.licence}, **not commercial**" if row.noncommercial else row.licence,
    )
    return f"| {' | '.join(cells)} |"


def render() -> str:
    """The file as it should be."""
    parts = [HEAD]
    for source, text in SOURCES.items():
        parts.append("\n".join([text, "", COLUMNS, *(line(row) for row in CATALOGUE.values() if row.source == source), ""]))
    return "\n".join(parts)


def networks() -> str:
    """The figures of `docs/models.md`, one network a line."""
    lines, builder = {}, ""
    for row in docs_table.PATH.read_text(encoding="utf-8").splitlines():
        if row.startswith("### "):
            builder = row.split("`")[1].rpartition(".")[2]
        elif row.startswith("| `"):
            cells = [cell.strip(" `") for cell in row.strip("|").split("|")]
            if len(cells) == 7:  # the table of decoders on encoders has less
                name, constructor, depth, params, macs, image, paper = cells
                figures = (depth, params.replace(",", ""), macs.removesuffix(" G"), image.replace(" ", ""), paper[1:].split("]")[0])
                lines[name] = (name, constructor, builder, *figures)
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(("name", "task", "constructor", "builder", "depth", "params", "gmacs", "shape", "paper"))
    writer.writerows((name, task, *lines[name][1:]) for task in TASKS for name in list_models(task=task))
    return file.getvalue()


if __name__ == "__main__":
    PATH.write_text(render(), encoding="utf-8")
    NETWORKS.write_text(networks(), encoding="utf-8")
