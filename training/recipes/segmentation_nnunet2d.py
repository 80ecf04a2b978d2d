"""nnU-Net's network for slices, trained by its plan.

    python -m training segmentation_nnunet2d --data folder --set data.classes=3

`folder` has `images` and `masks`, files of equal names; a mask's values are its labels. 1,000 epochs of 250 batches, SGD at 0.01 with
Nesterov's momentum 0.99, the rate falling as `(1 - t)^0.9`; Dice and cross-entropy at every scale; patches with foreground in a third of
them, rotated, scaled, mirrored, with noise, blur, and other brightness, contrast and gamma. Patch and batch are nnU-Net's for a set of
512 x 512 slices; it makes a plan for each set, from its sizes. Not measured here.

Source: Isensee et al. 2021, doi:10.1038/s41592-020-01008-z, and its first report arXiv:1809.10486. Published figures are one a data set.
"""

from training.recipe import Augmentation, Data, Loss, Network, Optimizer, Recipe, Schedule

RECIPES = {
    "segmentation_nnunet2d": Recipe(
        "segmentation_nnunet2d",
        task="segmentation",
        data=Data("masks", classes=2, size=512, channels=1, mean=(127.5,), deviation=(60.0,)),
        network=Network("nnunet2d", quick={"widths": (4, 8, 8)}),
        loss=Loss("dice_cross_entropy"),
        optimizer=Optimizer("sgd", rate=0.01, momentum=0.99, nesterov=True, weight_decay=3e-5, clip_norm=12.0),
        schedule=Schedule("polynomial", power=0.9),
        augmentation=Augmentation(),
        epochs=1000,
        steps=250,
        batch=12,
    )
}
