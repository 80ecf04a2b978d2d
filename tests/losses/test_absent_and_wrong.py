"""Classes that are not there, pixels without a label, masks that are wrong, and losses in files and in `fit`."""

import keras
import numpy as np
import pytest

from keras_resnet.learning import losses
from tests.arrays import as_numpy, normal, values
from tests.gradients import value_and_gradients
from tests.losses.examples import BINARY_LABELS, BINARY_LOGITS, IGNORED, LABELS, LOGITS, RANDOM_LABELS, RANDOM_LOGITS

LOSSES = [getattr(losses, name) for name in losses.__all__ if name[0].isupper() and name not in ("Compound", "Presence")]
OVERLAPS = [losses.Dice, losses.Jaccard, losses.Tversky]
NOTHING = np.zeros((2, 4, 4), "int32")
ONES = np.ones((2, 4, 4, 1), "float32")


@pytest.mark.parametrize("loss", LOSSES)
def test_defaults_work(loss):
    """smp's SoftCrossEntropyLoss fails with its own."""
    assert np.isfinite(float(loss()(LABELS, LOGITS)))
    assert np.isfinite(float(loss()(BINARY_LABELS, BINARY_LOGITS)))


@pytest.mark.parametrize("loss", OVERLAPS)
def test_nothing_there_and_nothing_found_is_perfect(loss):
    """Keras's Dice and Tversky give 1.0."""
    assert float(loss()(NOTHING, -30 * ONES)) == pytest.approx(0, abs=1e-6)
    assert float(loss(batch=False)(NOTHING, -30 * ONES)) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("loss", OVERLAPS)
def test_nothing_there_and_all_found_is_as_wrong_as_can_be(loss):
    """smp's Dice, Jaccard and Tversky give 0, without a gradient."""
    assert float(loss()(NOTHING, 30 * ONES)) == pytest.approx(1, abs=1e-6)
    tensor = keras.ops.convert_to_tensor(NOTHING)
    _, (gradient,) = value_and_gradients(lambda x: loss(reduction="none")(tensor, x), 0 * ONES)
    assert (gradient * normal(1, seed=77) > 0).all()  # less foreground, less loss


@pytest.mark.parametrize("loss", OVERLAPS)
def test_rules_for_an_absent_class(loss):
    labels = np.minimum(RANDOM_LABELS, 1)  # class 2 is absent
    found = float(loss(empty="skip")(labels, RANDOM_LOGITS))
    only = float(loss(class_weights=[1, 1, 0])(labels, RANDOM_LOGITS))
    assert found == pytest.approx(only, rel=1e-6)
    e = np.exp(RANDOM_LOGITS)
    given = (e / e.sum(-1, keepdims=True))[..., 2]
    assert float(loss()(labels, RANDOM_LOGITS)) == pytest.approx((2 * only + given.mean()) / 3, rel=1e-5)
    factor = dict(Dice=0.5, Jaccard=1.0, Tversky=0.5)[loss.__name__]
    smooth = 1 - 1 / (factor * given.sum() + 1)
    assert float(loss(empty="smooth", smooth=1.0, class_weights=[0, 0, 1])(labels, RANDOM_LOGITS)) == pytest.approx(smooth, rel=1e-5)
    assert float(loss(empty="skip")(NOTHING, 30 * ONES)) == 0


def test_an_absent_class_in_the_others():
    labels = np.minimum(RANDOM_LABELS, 1)
    e = np.exp(RANDOM_LOGITS)
    given = (e / e.sum(-1, keepdims=True))[..., 2]
    assert float(losses.Lovasz(class_weights=[0, 0, 1])(labels, RANDOM_LOGITS)) == pytest.approx(given.max(), rel=1e-5)
    assert float(losses.Boundary(class_weights=[0, 0, 1])(labels, RANDOM_LOGITS)) == pytest.approx(given.mean(), rel=1e-5)
    assert float(losses.Boundary(empty="skip", class_weights=[0, 0, 1])(labels, RANDOM_LOGITS)) == 0
    two = [float(losses.Lovasz(class_weights=w, empty=e)(labels, RANDOM_LOGITS)) for w, e in (([1, 1, 0], "one"), (None, "skip"))]
    assert two[0] == pytest.approx(two[1], rel=1e-6)
    rare = losses.GeneralizedDice(empty="skip")(labels, RANDOM_LOGITS)
    assert float(losses.GeneralizedDice(empty="smooth")(labels, RANDOM_LOGITS)) > float(rare)


@pytest.mark.parametrize("loss", LOSSES)
def test_all_pixels_ignored(loss):
    tensor = keras.ops.convert_to_tensor(np.full((2, 4, 4), 255))
    for channels, batch in ((1, False), (3, True)):
        made = loss(ignore_index=255, batch=batch)
        value, (gradient,) = value_and_gradients(
            lambda x, made=made: keras.ops.reshape(made(tensor, x), (1,)), RANDOM_LOGITS[..., :channels]
        )
        assert value == pytest.approx(0, abs=1e-6)
        assert not gradient.any()


@pytest.mark.parametrize("loss", LOSSES)
def test_a_wrong_label_in_training_is_seen_and_does_no_harm(loss):
    """In tensors: the loss is NaN, and the gradients are those of a mask in which the pixel is ignored."""
    for wrong in (7, -1, 0.5):
        masks = RANDOM_LABELS.astype("float32" if wrong == 0.5 else "int32")
        masks[1, 2, 3] = wrong
        ignored = RANDOM_LABELS.copy()
        ignored[1, 2, 3] = 255
        a, (gradient,) = value_and_gradients(
            lambda x, masks=masks: keras.ops.reshape(loss()(keras.ops.convert_to_tensor(masks), x), (1,)), RANDOM_LOGITS
        )
        b, (expected,) = value_and_gradients(
            lambda x, ignored=ignored: keras.ops.reshape(loss(ignore_index=255)(keras.ops.convert_to_tensor(ignored), x), (1,)),
            RANDOM_LOGITS,
        )
        assert np.isnan(a).all()
        assert np.isfinite(b).all()
        assert np.abs(gradient - expected).max() < 1e-6
        if keras.backend.backend() == "jax":
            break  # each is compiled anew; the other backends have tried all


def test_the_sample_of_a_wrong_label():
    masks = RANDOM_LABELS.copy()
    masks[1, 2, 3] = 3
    each = as_numpy(losses.Dice(batch=False, reduction="none")(keras.ops.convert_to_tensor(masks), RANDOM_LOGITS))
    assert np.isnan(each).tolist() == [False, True]


@pytest.mark.parametrize(
    ("masks", "settings", "words"),
    [
        (np.where(RANDOM_LABELS == 2, 7, 0), {}, r"0 to 2\. Received: 7 \(\d+ pixels\).*ignore_index"),
        (np.where(RANDOM_LABELS == 2, 7, 0), dict(ignore_index=255), "and ignore_index=255. Received: 7"),
        (RANDOM_LABELS - 1, {}, "-1 "),
        (RANDOM_LABELS * 0.5, {}, r"0\.5 .*whole"),
        (np.full((2, 4, 4), np.nan), {}, "nan"),
        (np.eye(3)[RANDOM_LABELS], {}, "sparse=False"),
        (RANDOM_LABELS, dict(sparse=False), "sparse=True"),
        (np.eye(3)[RANDOM_LABELS] * 2, dict(sparse=False), "sum to 1"),
        (RANDOM_LABELS[:, :3], {}, "nearest"),
        (RANDOM_LABELS[:1], {}, "shape"),
        (RANDOM_LABELS[..., None, None], {}, "shape"),
        (RANDOM_LABELS, dict(class_weights=[1, 2]), "3 numbers"),
        (np.array([["a"] * 4] * 8).reshape(2, 4, 4), {}, "integers"),
    ],
)
def test_wrong_masks(masks, settings, words):
    for loss in (losses.Dice(**settings), losses.DiceCrossEntropy(**settings)):
        with pytest.raises(ValueError, match=words):
            loss(masks, RANDOM_LOGITS)


def test_wrong_shapes_in_tensors_too():
    with pytest.raises(ValueError, match="sparse=False"):
        losses.Focal()(keras.ops.convert_to_tensor(np.eye(3)[RANDOM_LABELS]), keras.ops.convert_to_tensor(RANDOM_LOGITS))
    with pytest.raises(ValueError, match="channels"):
        losses.Focal()(keras.ops.zeros((2,)), keras.ops.zeros((2, 3)))


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda: losses.Dice(empty="zero"), "empty"),
        (lambda: losses.Dice(empty="smooth"), "smooth"),
        (lambda: losses.Dice(smooth=-1), "smooth"),
        (lambda: losses.Dice(from_logits="yes"), "from_logits"),
        (lambda: losses.Dice(ignore_index=1.5), "ignore_index"),
        (lambda: losses.Dice(class_weights=[0, 0]), "class_weights"),
        (lambda: losses.Dice(class_weights=[1, "a"]), "class_weights"),
        (lambda: losses.Dice(dtype="float16"), "dtype"),
        (lambda: losses.Tversky(0, 0), "alpha"),
        (lambda: losses.Tversky(gamma=0), "gamma"),
        (lambda: losses.Focal(alpha=2), "alpha"),
        (lambda: losses.Focal(gamma=-1), "gamma"),
        (lambda: losses.CrossEntropy(label_smoothing=1), "label_smoothing"),
        (lambda: losses.Boundary(spacing=(1, 0)), "spacing"),
        (lambda: losses.Boundary(spacing=(1, 1, 1))(LABELS, LOGITS), "spacing"),
        (lambda: losses.Compound([]), "losses"),
        (lambda: losses.Compound(["dice"]), "losses"),
        (lambda: losses.Compound([losses.Dice()], [1, 2]), "weights"),
        (lambda: losses.DiceFocal(weights=[1]), "weights"),
        (lambda: losses.DiceCrossEntropy(weights=1), "each of 2 losses, in a list. Received: weights=1"),
        (lambda: losses.DiceCrossEntropy(weights=(0, 0)), r"above 0. Received: weights=\(0, 0\)"),
        (lambda: losses.DiceCrossEntropy(weights=(-1, 1)), r"`weights\[0\]` must be a number from 0"),
        (lambda: losses.DiceCrossEntropy(class_weights=0), r"such as \[1, 2, 2\].*class_weights=0"),
        (lambda: losses.Dice(class_weights={0: 1.0, 1: 2.0}), "list of numbers.*Received: class_weights={0: 1.0, 1: 2.0}"),
        (lambda: losses.Dice(class_weights="12"), "list of numbers"),
    ],
)
def test_wrong_arguments(make, word):
    with pytest.raises(ValueError, match=word):
        make()


def test_check_masks():
    losses.check_masks(IGNORED, 3, ignore_index=255)
    losses.check_masks(np.zeros((2, 2), bool), 2)
    with pytest.raises(ValueError, match=r"255 \(\d+ pixels\)"):
        losses.check_masks(IGNORED, 3)


@pytest.mark.parametrize("loss", LOSSES)
def test_configuration(loss):
    own = dict(Focal=dict(gamma=1.5), DiceFocal=dict(alpha=0.3, weights=(2, 3)), DiceCrossEntropy=dict(label_smoothing=0.1))
    made = loss(ignore_index=255, class_weights=(1, 2, 3), batch=False, name="mine", **own.get(loss.__name__, {}))
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(made))
    assert type(copy) is loss
    assert copy.get_config() == made.get_config()
    assert copy.name == "mine"
    assert float(copy(IGNORED, RANDOM_LOGITS)) == float(made(IGNORED, RANDOM_LOGITS))


def test_training_from_a_file(tmp_path):
    """A saved model goes on with its loss; a wrong label in `fit` makes the loss NaN and leaves the weights finite."""
    image = keras.Input((None, None, 3))
    model = keras.Model(image, keras.layers.Conv2D(3, 1)(image))
    both = losses.Compound([losses.DiceFocal(ignore_index=255), losses.Lovasz(ignore_index=255)], [1.0, 0.5])
    model.compile(keras.optimizers.SGD(1.0), both)
    found = model.fit(RANDOM_LOGITS, IGNORED.astype("uint8"), epochs=6, verbose=0).history["loss"]
    assert found[-1] < found[0]
    model.save(tmp_path / "model.keras")
    model = keras.saving.load_model(tmp_path / "model.keras")
    assert model.evaluate(RANDOM_LOGITS, IGNORED, verbose=0) < found[-1]
    before = values(model)
    wrong = IGNORED.copy()
    wrong[0, 0, 0] = 9
    assert np.isnan(model.fit(RANDOM_LOGITS, wrong, verbose=0).history["loss"]).all()
    after = values(model)
    assert all(np.isfinite(value).all() for value in after.values())
    assert any((before[path] != after[path]).any() for path in before)
