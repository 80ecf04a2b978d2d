"""A network with the preprocessing inside, exported: pictures of any size and number in, the same probabilities out."""

import keras
import numpy as np
import pytest

import keras_resnet
from tests import tolerances
from tests.weights import files

# Whom a backend's exporter needs beside it.
FORMATS = {"tensorflow": ("tf_saved_model", "tensorflow"), "jax": ("tf_saved_model", "tensorflow"), "torch": ("onnx", "onnxruntime")}
SIZES = [(2, 70, 90), (1, 70, 90), (3, 33, 150)]


def pictures(count: int, height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, height, width, 3), "uint8")


# Of PyTorch's tracer: which Python numbers it takes for constants (channels, ranks). Of the libraries: their own old ways.
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_exported(interpolation, tmp_path):
    kind, needed = FORMATS[keras.backend.backend()]
    runtime = pytest.importorskip(needed, reason=f"exporting from {keras.backend.backend()} needs {needed}")
    image = keras.Input((None, None, 3), dtype="uint8")
    preprocessing = keras_resnet.preprocessing("resnet18.a1_in1k", size=32, interpolation=interpolation)
    model = keras.Model(image, files.small(3)(preprocessing(image)))
    expected = [model.predict(pictures(*size), verbose=0) for size in SIZES]
    path = str(tmp_path / "model.onnx") if kind == "onnx" else str(tmp_path / "model")
    model.export(path, format=kind, verbose=False)
    if kind == "onnx":
        session = runtime.InferenceSession(path)
        actual = [session.run(None, {session.get_inputs()[0].name: pictures(*size)})[0] for size in SIZES]
    else:
        exported = runtime.saved_model.load(path)
        actual = [exported.serve(pictures(*size)).numpy() for size in SIZES]
    assert all(tolerances.difference(one, other) < tolerances.LOGITS_FLOAT32 for one, other in zip(actual, expected, strict=True))
