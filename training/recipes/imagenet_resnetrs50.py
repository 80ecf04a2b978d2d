"""ResNet-RS-50 on ImageNet at 160 px.

    python -m training imagenet_resnetrs50 --data /data/imagenet --mixed-precision bfloat16

350 epochs of batches of 4,096, SGD at 0.1 for each 256 of them, cosine; RandAugment with two of 16 operations of magnitude 10, label
smoothing, dropout of 0.25 in front of the classifier, averaged weights and statistics, of which each batch gives its own; branches start at
zero; this size has no stochastic depth. Not measured here.

What differs from github.com/tensorflow/tpu, models/official/resnet, the authors' code of that time:

* The rate is a cosine and the momentum plain, as the paper and TensorFlow's Model Garden have it; there the rate falls in three steps, and
  the momentum is Nesterov's.
* Biases, which the squeezes and the classifier have, do not decay; there all does but batch normalization.
* Kernels start with a variance of 2 over their outputs and the classifier as PyTorch's; there with 1 over their inputs, and the classifier
  with a deviation of 0.01.
* A crop's area and the logarithm of its shape are uniform; there its height and its shape.
* Pictures are brought to their size by Pillow's cubic values, which are smoothed where they get smaller; there they are not.
* Turned and moved pictures are bilinear; there each pixel is its nearest one. Contrast blends with the mean grey; there with the grey of
  the number of pixels over 256, which is 100 at this size.

Source: Bello et al. 2021, arXiv:2103.07579, section 7 and appendix. Published: 78.8 % (its repository), 79.1 % (Model Garden);
timm evaluates its port to 77.858 %.
"""

import dataclasses

from training.recipe import Augmentation, Loss, Network, Optimizer, Recipe, Schedule
from training.recipes.imagenet import IMAGENET, TINY

SIZE = 160
RECIPES = {
    "imagenet_resnetrs50": Recipe(
        "imagenet_resnetrs50",
        data=dataclasses.replace(
            IMAGENET, size=SIZE, test_size=SIZE, test_crop=160 / 183, interpolation="bicubic", test_interpolation="bicubic"
        ),
        network=Network("resnetrs50", settings={"norm_momentum": 0.0, "zero_init_residual": True}, dropout=0.25, quick=TINY),
        loss=Loss(smoothing=0.1),
        optimizer=Optimizer("sgd", rate=1.6, momentum=0.9, weight_decay=4e-5, decay_all=False, average=0.9999),
        schedule=Schedule("cosine", warm_up=5),
        augmentation=Augmentation(
            crop_area=(0.08, 1.0),
            rand_magnitude=10,
            rand_deviation=0.0,
            rand_chance=1.0,
            rand_increasing=False,
            rand_translate=100 / SIZE,
            rand_cutout=40 / SIZE,
        ),
        epochs=350,
        batch=4096,
        published="78.8 % (github.com/tensorflow/tpu, resnet_rs)",
    )
}
