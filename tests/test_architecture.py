"""The house rules that a program can check: which file may import what, what names are not used, and that public things are explained."""

import ast
import pathlib

import pytest

ROOT = pathlib.Path(__file__).parents[1]
FRAMEWORKS = {"torch", "jax", "jaxlib", "tensorflow"}
FLOORS = (
    "backend",
    "layers",
    "models",
    "weights",
    "vision",
    "learning",
    "diffusion",
    "zoo",
    "constructors",
    "segmentation",
)  # from the lowest; then the package's own page
READER = ("keras_resnet.weights.read_pickle", "torch")  # PyTorch's own files are read by its restricted reader alone
ABOVE = {"training", "applications", "benchmarks", "tests"}
FAMILIES = {
    "resnet",
    "preresnet",
    "normfree",
    "cifar",
    "densenet",
    "vit",
    "unet",
    "unet3plus",
    "fc_densenet",
    "fpn",
    "deeplab",
    "attention_unet",
    "nested_unet",
    "nnunet",
    "plain_unet",
    "resunet",
    "diffusion_unet",
}
VAGUE = {"utils", "util", "common", "misc", "helpers", "helper", "base"}
LINES = 350  # of any file: about 200 is meant


def sources(folder: str = "keras_resnet") -> dict[str, str]:
    """Dotted name of each module below a folder, the library if none is named, to its text."""
    found = {}
    for path in sorted((ROOT / folder).rglob("*.py")):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        found[name] = path.read_text(encoding="utf-8")
    return found


def imports(source: str) -> set[str]:
    """Every module that a source imports, or may import: `from a import b` counts as `a` and as `a.b`, and so does import_module("a")."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide where they lead"
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) in ("import_module", "__import__"):
            found |= {arg.value for arg in node.args if isinstance(arg, ast.Constant) and isinstance(arg.value, str)}
    return found


def floor(module: str) -> int:
    """Floor of a module of the library; its own page `keras_resnet` stands on top of all."""
    part = [*module.split("."), ""][1]
    return FLOORS.index(part) if part in FLOORS else len(FLOORS)


def violations(module: str, source: str) -> list[str]:
    """What a module does against the rules of imports."""
    found, parts = [], module.split(".")
    for name in imports(source):
        root, *rest = name.split(".")
        if root in FRAMEWORKS and parts[1] != "backend" and (module, root) != READER:
            found.append(f"imports {name} outside backend/")
        if root in ABOVE:
            found.append(f"imports {name}, which stands above the library")
        if root == "keras_resnet" and rest and rest[0] in FLOORS and floor(name) > floor(module):
            found.append(f"imports {name} from a higher floor")
        if root == "keras_resnet" and not rest and imports_page(source) and parts[1] != "__init__":
            found.append("imports the package's own page")
        if parts[1] == "models" and parts[-1] in FAMILIES and rest[:1] == ["models"] and set(rest[1:2]) & (FAMILIES - {parts[-1]}):
            found.append(f"imports another family, {name}")
    if any(isinstance(node, ast.Attribute) and ast.unparse(node).startswith("keras.src") for node in ast.walk(ast.parse(source))):
        found.append("reaches into keras.src")
    if any(name.startswith("keras.src") for name in imports(source)):
        found.append("imports keras.src")
    return sorted(set(found))


def imports_page(source: str) -> bool:
    """Whether a source imports `keras_resnet` itself, or from it what is no floor."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import) and any(alias.name == "keras_resnet" for alias in node.names):
            return True
        if isinstance(node, ast.ImportFrom) and node.module == "keras_resnet" and not {alias.name for alias in node.names} <= set(FLOORS):
            return True
    return False


def unexplained(source: str) -> list[str]:
    """Public classes and functions without docstring; methods that a documented class of Keras or ours explains are left out."""
    tree = ast.parse(source)
    missing = [] if ast.get_docstring(tree) else ["the module"]
    for node in tree.body:
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)) and not node.name.startswith("_") and not ast.get_docstring(node):
            missing.append(node.name)
    return missing


def violations_above(source: str) -> list[str]:
    """What a module of `training/`, which stands between the library and the applications, does against the rules of imports."""
    roots = {name.split(".")[0] for name in imports(source)}
    found = [f"imports {name}" for name in sorted(roots & (FRAMEWORKS | ABOVE - {"training"}))]
    return found + [f"imports {name}" for name in imports(source) if name.startswith("keras.src")]


MODULES = sources()
TRAINING = sources("training")
# The operations of a twin are explained once, where they are defined.
TWINS = {f"keras_resnet.backend.{name}" for name in FRAMEWORKS}


def test_the_scan_sees_the_library():
    assert {"keras_resnet.__init__", "keras_resnet.zoo", "keras_resnet.backend.torch", "keras_resnet.weights.load"} <= MODULES.keys()
    assert "torch" in imports(MODULES["keras_resnet.backend.torch"])
    assert {floor(module) for module in MODULES} == set(range(len(FLOORS) + 1))


@pytest.mark.parametrize("module", MODULES)
def test_imports(module):
    assert violations(module, MODULES[module]) == []


@pytest.mark.parametrize("module", MODULES)
def test_names_and_docstrings(module):
    assert not VAGUE & {part.strip("_") for part in module.split(".")}
    missing = unexplained(MODULES[module])
    if module in TWINS:
        reference = ast.parse(MODULES["keras_resnet.backend.reference"])
        missing = [name for name in missing if name not in {getattr(node, "name", None) for node in reference.body}]
    assert missing == []


@pytest.mark.parametrize("module", TRAINING)
def test_training(module):
    assert violations_above(TRAINING[module]) == []
    assert unexplained(TRAINING[module]) == []
    assert not VAGUE & {part.strip("_") for part in module.split(".")}


@pytest.mark.parametrize(
    "source", ["import torch", "from applications import digits", "from tests.quick import ON_TORCH", "import keras.src"]
)
def test_the_scan_finds_in_training(source):
    assert violations_above(source)
    assert violations_above("import keras\nfrom keras_resnet import learning\nfrom training import run") == []


@pytest.mark.parametrize("folder", ["applications", "benchmarks", "keras_resnet", "keras_resnet_cli", "tests", "training"])
def test_no_file_is_long(folder):
    lengths = {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8").count("\n") for path in (ROOT / folder).rglob("*.py")}
    assert len(lengths) > 3
    assert {name: length for name, length in lengths.items() if length > LINES} == {}


def test_no_empty_or_vague_folder():
    folders = {path.name for path in (ROOT / "keras_resnet").rglob("*") if path.is_dir()}
    assert not VAGUE & folders


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("keras_resnet.layers.convolution", "import torch.nn"),
        ("keras_resnet.weights.read", "def f():\n    from torch import load"),
        ("keras_resnet.models.resnet", "import importlib\nimportlib.import_module('jax')"),
        ("keras_resnet.zoo", "import tensorflow as tf"),
        ("keras_resnet.backend.torch", "from keras.src import backend"),
        ("keras_resnet.layers.stem", "import keras\nkeras.src.backend.torch"),
        ("keras_resnet.backend.reference", "from keras_resnet import layers"),
        ("keras_resnet.layers.stem", "from keras_resnet.models.resnet import resnet"),
        ("keras_resnet.models.resnet", "import keras_resnet.weights.load"),
        ("keras_resnet.weights.load", "from keras_resnet.zoo import ZOO"),
        ("keras_resnet.weights.load", "from keras_resnet import create_model"),
        ("keras_resnet.models.features", "import keras_resnet"),
        ("keras_resnet.models.cifar", "from keras_resnet.models.resnet import BLOCKS"),
        ("keras_resnet.models.cifar", "from keras_resnet.models import resnet"),
        ("keras_resnet.zoo", "from training import recipes"),
        ("keras_resnet.layers.stem", "import tests.arrays"),
    ],
)
def test_the_scan_finds(module, source):
    assert violations(module, source)


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("keras_resnet.backend.torch", "import torch\nfrom keras_resnet.backend import geometry"),
        ("keras_resnet.layers.stem", "import keras\nfrom keras_resnet import backend\nfrom keras_resnet.layers.convolution import Conv2D"),
        ("keras_resnet.__init__", "from keras_resnet import backend, layers\nfrom keras_resnet.zoo import create_model"),
        ("keras_resnet.models.cifar", "from keras_resnet.models import network"),
        ("keras_resnet.weights.read", "import safetensors"),
    ],
)
def test_the_scan_allows(module, source):
    assert violations(module, source) == []


def test_the_scan_finds_what_is_not_explained():
    assert unexplained("def f(): pass\nclass A: pass\ndef _g(): pass") == ["the module", "f", "A"]
    assert unexplained('"""Here."""\ndef f():\n    """Does."""') == []
