"""The numbers of segmentation_models.pytorch and MONAI, which were worked out by running them on the same masks and logits."""

import pytest

from keras_resnet.learning import losses
from tests.losses.examples import BINARY_LABELS, BINARY_LOGITS, LABELS, LOGITS

MONAI = dict(smooth=1e-5, batch=False)
MULTICLASS = [
    (losses.Dice(), 0.676222),
    (losses.Dice(log=True), 1.146345),
    (losses.Dice(smooth=1.0), 0.616519),
    (losses.Dice(ignore_index=0), 0.416057 * 3 / 2),  # theirs divides by the ignored class too
    (losses.Dice(class_weights=[1, 2, 3]), 0.699155),
    (losses.Jaccard(), 0.805366),
    (losses.Tversky(0.3, 0.7), 0.675475),
    (losses.Tversky(0.3, 0.7, gamma=4 / 3), 0.592669),
    (losses.Focal(gamma=2.0), 0.520895),
    (losses.Lovasz(), 0.674865),
    (losses.Lovasz(batch=False), 0.675026),
    (losses.CrossEntropy(), 1.181180),
    (losses.CrossEntropy(label_smoothing=0.1), 1.181330),
    (losses.Dice(**MONAI), 0.676649),
    (losses.Dice(smooth=1e-5), 0.676222),
    (losses.Dice(background=False, **MONAI), 0.703975),
    (losses.Dice(squared=True, **MONAI), 0.532856),
    (losses.Jaccard(**MONAI), 0.805570),
    (losses.GeneralizedDice(batch=False), 0.713880),
    (losses.DiceCrossEntropy(**MONAI), 1.857829),
    (losses.DiceFocal(**MONAI), 1.197544),
    (losses.Hausdorff(background=False), 0.557658),
]
BINARY = [
    (losses.Dice(), 0.540642),
    (losses.Jaccard(), 0.701840),
    (losses.Tversky(0.3, 0.7), 0.525745),
    (losses.Focal(), 0.550605),
    (losses.Focal(alpha=0.25), 0.292746),
    (losses.Lovasz(), 1.799044),
    (losses.CrossEntropy(), 0.955828),
]


@pytest.mark.parametrize(("loss", "published"), MULTICLASS, ids=lambda value: getattr(value, "name", value))
def test_several_channels(loss, published):
    assert float(loss(LABELS, LOGITS)) == pytest.approx(published, abs=1e-5)


@pytest.mark.parametrize(("loss", "published"), BINARY, ids=lambda value: getattr(value, "name", value))
def test_one_channel(loss, published):
    assert float(loss(BINARY_LABELS, BINARY_LOGITS)) == pytest.approx(published, abs=1e-5)
