"""IoU, DiceScore and the report: published values, NumPy's counts, any number of batches, and what is wrong or absent."""

import keras
import numpy as np
import pytest

from keras_resnet.learning import metrics
from keras_resnet.learning.metrics.confusion import LIMB
from tests.arrays import as_numpy
from tests.losses.examples import BINARY_LABELS, BINARY_LOGITS, IGNORED, LABELS, LOGITS, RANDOM_LABELS, RANDOM_LOGITS

BOTH = [metrics.IoU, metrics.DiceScore]


def counted(labels, found, classes, make):
    """Score of each class by counting pixels; NaN where there are none."""
    scores = []
    for c in range(classes):
        tp, union = ((labels == c) & (found == c)).sum(), ((labels == c) | (found == c)).sum()
        whole = union if make is metrics.IoU else union + tp
        scores.append((tp if make is metrics.IoU else 2 * tp) / whole if whole else np.nan)
    return np.array(scores)


@pytest.mark.parametrize(
    ("make", "average", "published"),
    [
        (metrics.IoU, "pixels", 0.185185),
        (metrics.IoU, "classes", 0.170274),
        (metrics.IoU, "images", 0.170274),
        (metrics.DiceScore, "pixels", 0.3125),
        (metrics.DiceScore, "classes", 0.282540),
        (metrics.DiceScore, "images", 0.278463),
    ],
)
def test_published_values(make, average, published):
    assert float(make(3, average=average)(LABELS, LOGITS)) == pytest.approx(published, abs=1e-5)


@pytest.mark.parametrize("make", BOTH)
def test_batches_add_up(make):
    metric = make(3, ignore_index=255)
    for i in (0, 1):
        metric.update_state(IGNORED[i : i + 1].astype("uint8"), RANDOM_LOGITS[i : i + 1])
    keep = IGNORED != 255
    expected = counted(IGNORED[keep], RANDOM_LOGITS.argmax(-1)[keep], 3, make)
    assert as_numpy(metric.per_class()) == pytest.approx(expected, rel=1e-6)
    assert float(metric.result()) == pytest.approx(expected.mean(), rel=1e-6)
    metric.reset_state()
    assert float(metric.result()) == 0
    assert float(make(3, ignore_index=255, background=False)(IGNORED, RANDOM_LOGITS)) == pytest.approx(expected[1:].mean(), rel=1e-6)
    assert float(make(3, ignore_index=2)(RANDOM_LABELS, RANDOM_LOGITS)) == pytest.approx(
        counted(RANDOM_LABELS[RANDOM_LABELS < 2], RANDOM_LOGITS.argmax(-1)[RANDOM_LABELS < 2], 2, make).mean(), rel=1e-6
    )


@pytest.mark.parametrize("make", BOTH)
def test_forms_of_masks_and_outputs(make):
    expected = pytest.approx(float(make(3)(RANDOM_LABELS, RANDOM_LOGITS)), rel=1e-6)
    softmax = as_numpy(keras.ops.softmax(RANDOM_LOGITS))
    one_hot = np.eye(3, dtype="float32")[RANDOM_LABELS]
    found = RANDOM_LOGITS.argmax(-1)
    assert float(make(3)(RANDOM_LABELS[..., None], softmax)) == expected  # keras.metrics.MeanIoU(3) raises at it
    assert float(make(3, sparse=False)(one_hot, RANDOM_LOGITS)) == expected
    assert float(make(3, data_format="channels_first")(RANDOM_LABELS, np.moveaxis(RANDOM_LOGITS, -1, 1))) == expected
    assert float(make(3)(RANDOM_LABELS, found)) == expected
    assert float(make(3)(RANDOM_LABELS[..., None], found[..., None].astype("uint8"))) == expected
    assert float(make(3)(RANDOM_LABELS.reshape(2, 2, 2, 4), RANDOM_LOGITS.reshape(2, 2, 2, 4, 3))) == expected
    assert float(make(3)(RANDOM_LABELS, keras.ops.cast(RANDOM_LOGITS, "float16"))) == expected


@pytest.mark.parametrize("make", BOTH)
def test_one_channel(make):
    for threshold in (0.5, 0.8):
        found = 1 / (1 + np.exp(-BINARY_LOGITS)) > threshold
        expected = pytest.approx(counted(BINARY_LABELS, found[..., 0], 2, make).mean(), rel=1e-6)
        assert float(make(2, threshold=threshold)(BINARY_LABELS, BINARY_LOGITS)) == expected
        sigmoid = as_numpy(keras.ops.sigmoid(BINARY_LOGITS))
        assert float(make(2, threshold=threshold, from_logits=False)(BINARY_LABELS, sigmoid)) == expected
        assert float(make(2)(BINARY_LABELS.astype(bool), found)) == expected


@pytest.mark.parametrize("average", ["classes", "pixels", "images"])
@pytest.mark.parametrize("make", BOTH)
def test_what_is_rightly_empty_is_perfect(make, average):
    """smp's "micro" gives NaN."""
    nothing = np.zeros((2, 3, 3), "int32")
    for empty in ("skip", "one"):
        assert float(make(2, background=False, empty=empty, average=average)(nothing, nothing)) == 1
    assert float(make(2, background=False, average=average)(nothing, 1 - nothing)) == 0


@pytest.mark.parametrize("make", BOTH)
def test_absent_classes(make):
    labels = np.minimum(RANDOM_LABELS, 1)
    found = np.minimum(RANDOM_LOGITS.argmax(-1), 1)
    two = counted(labels, found, 2, make)
    metric = make(3)
    assert float(metric(labels, found)) == pytest.approx(two.mean(), rel=1e-6)
    assert np.isnan(as_numpy(metric.per_class())).tolist() == [False, False, True]
    assert float(make(3, empty="one")(labels, found)) == pytest.approx((two.sum() + 1) / 3, rel=1e-6)


def test_counts_are_exact_beyond_what_int32_and_float32_hold():
    metric = metrics.IoU(2)
    metric.update_state([[[0, 1, 1]]], [[[0, 1, 0]]])
    for _ in range(3):  # 3 * 2 ** 31 pixels of each kind that came before
        metric.counts.assign(as_numpy(metric.counts) + np.array([[[0, 0], [0, 0]], [[2048, 0], [2048, 2048]]], "int32"))
    for _ in range(3):
        metric.update_state([[[0, 1, 1]]], [[[0, 1, 0]]])
    low, high = as_numpy(metric.counts).astype("int64")
    assert (low + high * LIMB == np.array([[3 * 2**31 + 4, 0], [3 * 2**31 + 4, 3 * 2**31 + 4]])).all()
    assert as_numpy(metric.per_class()) == pytest.approx([0.5, 0.5])
    full = metrics.IoU(2)
    full.counts.assign(np.array([[[LIMB - 1, 0], [0, 0]], [[0, 0], [0, 0]]], "int32"))
    full.update_state([[[0, 0, 0]]], [[[0, 0, 0]]])
    assert as_numpy(full.counts)[:, 0, 0].tolist() == [2, 1]


@pytest.mark.parametrize("make", BOTH)
def test_wrong_labels(make):
    wrong = RANDOM_LABELS.copy()
    wrong[0, 0, 0] = 5
    with pytest.raises(ValueError, match=r"0 to 2\. Received: 5 \(1 pixels\)"):
        make(3).update_state(wrong, RANDOM_LOGITS)
    with pytest.raises(ValueError, match=r"5 \(1 pixels\)"):
        make(3).update_state(RANDOM_LABELS, wrong)
    lost = RANDOM_LOGITS.copy()
    lost[0, 0, 0, 1] = np.nan
    for labels, found in ((wrong, RANDOM_LOGITS), (RANDOM_LABELS, wrong), (RANDOM_LABELS, lost)):
        metric = make(3)
        metric.update_state(keras.ops.convert_to_tensor(labels), keras.ops.convert_to_tensor(found))
        metric.update_state(RANDOM_LABELS, RANDOM_LOGITS)
        assert np.isnan(float(metric.result()))
        assert np.isnan(as_numpy(metric.per_class())).all()
        metric.reset_state()
        metric.update_state(RANDOM_LABELS, RANDOM_LOGITS)
        assert np.isfinite(float(metric.result()))


@pytest.mark.parametrize(
    ("act", "word"),
    [
        (lambda: metrics.IoU(1), "classes"),
        (lambda: metrics.IoU(2.5), "classes"),
        (lambda: metrics.IoU(2, empty="zero"), "empty"),
        (lambda: metrics.IoU(2, average="macro"), "average"),
        (lambda: metrics.IoU(2, threshold=0), "threshold"),
        (lambda: metrics.IoU(2, threshold=2), "above 0 and below 1. Received: threshold=2"),
        (lambda: metrics.IoU(2, ignore_index="x"), "ignore_index"),
        (lambda: metrics.IoU(4).update_state(RANDOM_LABELS, RANDOM_LOGITS), "4 channels"),
        (lambda: metrics.IoU(3).update_state(RANDOM_LABELS[:, :3], RANDOM_LOGITS), "nearest"),
        (lambda: metrics.IoU(3).update_state(np.eye(3)[RANDOM_LABELS], RANDOM_LOGITS), "sparse=False"),
        (lambda: metrics.IoU(3).update_state(RANDOM_LABELS, RANDOM_LOGITS, np.ones(2)), "weighted_metrics"),
    ],
)
def test_wrong_arguments(act, word):
    with pytest.raises(ValueError, match=word):
        act()


def test_report():
    found = RANDOM_LOGITS.argmax(-1)
    report = metrics.segmentation_report(IGNORED, found, ["sky", "sea", "land"], ignore_index=255)
    assert list(report) == ["sky", "sea", "land", "mean", "all pixels"]
    for make, column in zip(BOTH, ("iou", "dice")):
        metric = make(3, ignore_index=255)
        mean = float(metric(IGNORED, found))
        assert [report[name][column] for name in ("sky", "sea", "land")] == pytest.approx(as_numpy(metric.per_class()), rel=1e-6)
        assert report["mean"][column] == pytest.approx(mean, rel=1e-6)
        assert report["all pixels"][column] == pytest.approx(float(make(3, ignore_index=255, average="pixels")(IGNORED, found)), rel=1e-6)
    keep = IGNORED != 255
    assert report["sea"]["precision"] == ((IGNORED == 1) & (found == 1)).sum() / ((found == 1) & keep).sum()
    assert report["sea"]["recall"] == ((IGNORED == 1) & (found == 1)).sum() / (IGNORED == 1).sum()
    assert [report[name]["pixels"] for name in report] == [*np.bincount(IGNORED[keep]), keep.sum(), keep.sum()]
    lines = str(report).splitlines()
    assert len(lines) == 6
    assert f"{report['land']['dice']:.4f}" in lines[3]
    assert "nan" not in str(metrics.segmentation_report([[0, 1]], [[0, 1]], classes=3))
    assert metrics.segmentation_report(keras.ops.convert_to_tensor([[0, 1]]), [[0, 0]])["1"]["recall"] == 0


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (dict(y_true=RANDOM_LABELS, y_pred=RANDOM_LOGITS), "argmax"),
        (dict(y_true=IGNORED, y_pred=RANDOM_LABELS, classes=3), "255"),
        (dict(y_true=RANDOM_LABELS, y_pred=RANDOM_LABELS, names=["a", "b"]), "2 "),
        (dict(y_true=RANDOM_LABELS, y_pred=RANDOM_LABELS, names=["a", "b", "mean"]), "names"),
        (dict(y_true=RANDOM_LABELS, y_pred=RANDOM_LABELS, names="abc"), "names"),
    ],
)
def test_report_of_what_is_wrong(arguments, word):
    with pytest.raises(ValueError, match=word):
        metrics.segmentation_report(**arguments)


def test_in_fit_and_in_files(tmp_path):
    """Every metric inside the compiled step, the same there as by hand, and again from a file."""
    image = keras.Input((None, None, 3))
    model = keras.Model(image, keras.layers.Conv2D(3, 1)(image))
    names = [name for name in metrics.__all__ if name[0].isupper()]
    made = [getattr(metrics, name)(classes=3, ignore_index=255, name=name.lower()) for name in names]
    by_image = metrics.IoU(3, ignore_index=255, average="images", name="by_image")
    model.compile(keras.optimizers.SGD(0.0), _no_loss, metrics=[*made, by_image])
    model.fit(RANDOM_LOGITS, IGNORED.astype("uint8"), batch_size=1, verbose=0)
    first = model.evaluate(RANDOM_LOGITS, IGNORED.astype("uint8"), batch_size=1, verbose=0, return_dict=True)
    output = as_numpy(model(RANDOM_LOGITS))
    for name in names:
        by_hand = float(getattr(metrics, name)(classes=3, ignore_index=255)(IGNORED, output))
        assert first[name.lower()] == pytest.approx(by_hand, rel=1e-4)
    for metric in (*made, by_image):
        copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(metric))
        assert copy.get_config() == metric.get_config()
        assert float(copy(IGNORED, output)) == pytest.approx(first[metric.name], rel=1e-4)


def _no_loss(y_true, y_pred):
    return 0 * keras.ops.mean(y_pred)
