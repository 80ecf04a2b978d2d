"""nnU-Net's network for slices, trained by its plan.

    python -m training segmentation_nnunet2d --data folder --set data.classes=3

`folder` has `images` and `masks`, files of equal names; a mask's values are its labels, and 255 does not count. 1,000 epochs of 250
batches, SGD at 0.01 with Nesterov's momentum 0.99, the rate falling as `(1 - t)^0.9`; Dice and cross-entropy at every scale; patches with
foreground in a third of them, rotated, scaled, mirrored, with noise, blur, low resolution, and other brightness, contrast and gamma, which
is background where it lies outside of the picture. Patch, batch and the network's eight stages are nnU-Net's for a set of 512 x 512
slices; it makes a plan for each set, from its sizes. Angles, ranges and chances of the augmentation are those of its code
(batchgenerators, `data_augmentation_moreDA`). Not measured here.

What differs:

* Pictures are normalized by the recipe's mean and deviation, and not each by its own, or CT by the percentiles of the set.
* They are turned, scaled and enlarged from low resolution by linear interpolation and not by cubic splines, masks by the nearest pixel.
* Factors of the size are even in their logarithm, and gammas even in their range; there half of either are below 1.
* Values are changed in another order: blur, low resolution, the two gammas, contrast, brightness, noise. There noise comes first, and the
  gammas last.
* Each patch has foreground by a chance of 0.33, and it lies anywhere in it; there it is in the middle, in 4 patches of 12.
* Side outputs are enlarged to the picture's size, and there the masks are made smaller.
* The rate falls at each step, not each epoch. The smallest of the seven scales counts as 1/127 of the loss, and there not at all.
* The best checkpoint is that of the greatest mean IoU of the test, and there of a running mean of Dice over patches.
* The test is on a tenth of the pictures as a whole, and not by five folds, windows and mirrored copies.

Source: Isensee et al. 2021, doi:10.1038/s41592-020-01008-z, and its first report arXiv:1809.10486. Published figures are one a data set.
"""

from training.recipe import Augmentation, Data, Loss, Network, Optimizer, Recipe, Schedule

RECIPES = {
    "segmentation_nnunet2d": Recipe(
        "segmentation_nnunet2d",
        task="segmentation",
        data=Data("masks", classes=2, size=512, channels=1, mean=(127.5,), deviation=(60.0,)),
        network=Network("nnunet2d_deep", quick={"widths": (4, 8, 8)}),
        loss=Loss("dice_cross_entropy"),
        optimizer=Optimizer("sgd", rate=0.01, momentum=0.99, nesterov=True, weight_decay=3e-5, clip_norm=12.0),
        schedule=Schedule("polynomial", power=0.9),
        augmentation=Augmentation(),
        epochs=1000,
        steps=250,
        batch=12,
    )
}
