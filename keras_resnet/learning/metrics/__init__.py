"""Metrics of dense prediction, which count over any number of batches: overlap and borders of each class. Keras's own are in Keras."""

from keras_resnet.learning.metrics.dice_score import DiceScore
from keras_resnet.learning.metrics.hausdorff_distance import HausdorffDistance
from keras_resnet.learning.metrics.iou import IoU
from keras_resnet.learning.metrics.report import segmentation_report
from keras_resnet.learning.metrics.surface_dice import SurfaceDice
from keras_resnet.learning.metrics.surface_distance import SurfaceDistance

__all__ = ["DiceScore", "HausdorffDistance", "IoU", "SurfaceDice", "SurfaceDistance", "segmentation_report"]
