"""Floor 4: what stands around a model in training: what of it learns, and how fast. What stands around one in use is in `vision`."""

from keras_resnet.learning.freezing import freeze
from keras_resnet.learning.layerwise import layerwise
from keras_resnet.learning.layerwise_optimizer import LayerwiseOptimizer

__all__ = ["LayerwiseOptimizer", "freeze", "layerwise"]
