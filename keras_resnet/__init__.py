"""The model zoo of skip connections for Keras 3, on TensorFlow, JAX and PyTorch.

```python
model = keras_resnet.ResNet50(weights=None, classes=10, input_shape=(224, 224, 3))
```
"""

from keras_resnet import backend, diffusion, layers, learning, models
from keras_resnet.constructors import CONSTRUCTORS
from keras_resnet.learning import losses, metrics
from keras_resnet.learning.freezing import freeze
from keras_resnet.models.features import feature_info, features
from keras_resnet.models.profile import profile
from keras_resnet.segmentation import FPN, DeepLabV3Plus, UNet, UNetPlusPlus
from keras_resnet.vision.labels import decode_predictions
from keras_resnet.vision.preprocessing import Preprocessing, preprocessing
from keras_resnet.vision.segmentation_plot import plot_segmentation
from keras_resnet.vision.sliding_window import sliding_window
from keras_resnet.weights.load import load_weights
from keras_resnet.weights.save import save_weights
from keras_resnet.zoo import create_model, list_models

globals().update(CONSTRUCTORS)  # ResNet18, ResNet50, ..., ADM512: one for each of list_models(); stubs for editors in __init__.pyi

__version__ = "0.1.0"
__all__ = [
    "FPN",
    "DeepLabV3Plus",
    "Preprocessing",
    "UNet",
    "UNetPlusPlus",
    "backend",
    "create_model",
    "decode_predictions",
    "diffusion",
    "feature_info",
    "features",
    "freeze",
    "layers",
    "learning",
    "list_models",
    "load_weights",
    "losses",
    "metrics",
    "models",
    "plot_segmentation",
    "preprocessing",
    "profile",
    "save_weights",
    "sliding_window",
    *CONSTRUCTORS,
]
