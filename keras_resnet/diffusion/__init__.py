"""Floor 5: diffusion models. How noise is added, a model that learns to take it away in `fit`, and samplers that draw pictures with it."""

from keras_resnet.diffusion.denoiser import Diffusion
from keras_resnet.diffusion.sampling import sample
from keras_resnet.diffusion.schedule import Schedule

__all__ = ["Diffusion", "Schedule", "sample"]
