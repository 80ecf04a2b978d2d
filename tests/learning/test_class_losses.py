"""Binary cross-entropy a class, and distillation."""

import keras
import numpy as np
import pytest

from keras_resnet.learning import BinaryCrossentropy, Distilled, distillation_loss
from tests.arrays import as_numpy, normal
from tests.quick import ON_TORCH


def value(loss, labels, logits, *weights) -> float:
    return float(as_numpy(loss(np.asarray(labels), keras.ops.convert_to_tensor(logits), *weights)))


def formula(targets: np.ndarray, logits: np.ndarray) -> np.ndarray:
    p = 1 / (1 + np.exp(-logits.astype("float64")))
    return -(targets * np.log(p) + (1 - targets) * np.log(1 - p))


def test_binary_cross_entropy_of_labels():
    logits, labels = 3 * normal(5, 4), np.array([0, 3, 1, 2, 2])
    hot = np.eye(4)[labels]
    assert value(BinaryCrossentropy(4), labels, logits) == pytest.approx(formula(hot, logits).mean(), rel=1e-5)
    assert value(BinaryCrossentropy(4), labels[:, None], logits) == pytest.approx(formula(hot, logits).mean(), rel=1e-5)
    smooth = 0.8 * hot + 0.05
    assert value(BinaryCrossentropy(4, smoothing=0.2), labels, logits) == pytest.approx(formula(smooth, logits).mean(), rel=1e-5)
    summed = formula(hot, logits).sum(1)
    assert value(BinaryCrossentropy(4, sum_classes=True), labels, logits) == pytest.approx(summed.mean(), rel=1e-5)
    weights = np.array([1.0, 0, 0, 2, 0], "float32")
    assert value(BinaryCrossentropy(4, sum_classes=True), labels, logits, weights) == pytest.approx((summed * weights).mean(), rel=1e-5)
    soft = np.abs(normal(5, 4, seed=1)) / 4
    assert value(BinaryCrossentropy(4, smoothing=0.2), soft, logits) == pytest.approx(formula(soft, logits).mean(), rel=1e-5)
    assert value(BinaryCrossentropy(4, threshold=0.2), soft, logits) == pytest.approx(formula(soft > 0.2, logits).mean(), rel=1e-5)
    keras_own = keras.losses.BinaryCrossentropy(from_logits=True)
    assert value(keras_own, soft, logits) == pytest.approx(value(BinaryCrossentropy(4), soft, logits), rel=1e-5)
    large = np.array([[200.0, -200.0]], "float32")
    assert value(BinaryCrossentropy(2), [1], large) == pytest.approx(200.0)
    again = BinaryCrossentropy.from_config(BinaryCrossentropy(4, 0.2, 0.3, True).get_config())
    assert (again.classes, again.smoothing, again.threshold, again.sum_classes) == (4, 0.2, 0.3, True)


def test_keras_own_label_smoothing_is_right():
    logits, hot = 3 * normal(5, 4), np.eye(4)[[0, 3, 1, 2, 2]].astype("float32")
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    expected = -((0.9 * hot + 0.1 / 4) * np.log(p)).sum(1).mean()
    found = value(keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1), hot, logits)
    assert found == pytest.approx(expected, rel=1e-5)


def softmax(z: np.ndarray) -> np.ndarray:
    e = np.exp(z.astype("float64"))
    return e / e.sum(-1, keepdims=True)


def test_distillation_loss():
    teacher, student = 3 * normal(5, 4), normal(5, 4, seed=1)
    for temperature in (1.0, 4.0):
        p, q = softmax(teacher / temperature), softmax(student / temperature)
        expected = temperature**2 * (p * np.log(p / q)).sum(1)
        found = distillation_loss(*map(keras.ops.convert_to_tensor, (teacher, student)), temperature)
        np.testing.assert_allclose(as_numpy(found), expected, rtol=1e-4)


def networks(activation: str | None = "softmax") -> list[keras.Model]:
    def network(name: str) -> keras.Model:
        image = keras.Input((6,))
        x = keras.layers.BatchNormalization()(keras.layers.Dense(8)(image))
        return keras.Model(image, keras.layers.Dense(3, activation=activation)(x), name=name)

    return [network("student"), network("teacher")]


@pytest.mark.parametrize("activation", ["softmax", pytest.param(None, marks=[] if ON_TORCH else pytest.mark.full)])
def test_a_student_learns_from_its_teacher(activation):
    student, teacher = networks(activation)
    before = [as_numpy(v) for v in teacher.weights]
    model = Distilled(student, teacher, weight=0.7, temperature=2.0, from_logits=activation is None)
    hard = keras.losses.SparseCategoricalCrossentropy(from_logits=activation is None)
    model.compile(keras.optimizers.SGD(0.2), hard, metrics=["accuracy"])
    images, labels = normal(16, 6), np.arange(16) % 3
    own, theirs = as_numpy(student(images)), as_numpy(teacher(images))
    own, theirs = (softmax(z) if activation is None else z for z in (own, theirs))
    soft = [p ** (1 / 2.0) / (p ** (1 / 2.0)).sum(1, keepdims=True) for p in (own, theirs)]
    expected = 0.7 * 4 * (soft[1] * np.log(soft[1] / soft[0])).sum(1).mean() - 0.3 * np.log(own[np.arange(16), labels]).mean()
    assert model.evaluate(images, labels, verbose=0, return_dict=True)["loss"] == pytest.approx(expected, rel=1e-4)
    history = model.fit(images, labels, epochs=3, verbose=0).history
    assert history["loss"][-1] < history["loss"][0]
    for mine, value_before in zip(teacher.weights, before, strict=True):
        np.testing.assert_array_equal(as_numpy(mine), value_before)  # its statistics among them
    np.testing.assert_allclose(model.predict(images, verbose=0), student.predict(images, verbose=0), rtol=1e-5)


def regularized(name: str) -> keras.Model:
    image = keras.Input((6,))
    added = dict(kernel_regularizer=keras.regularizers.L2(0.5), activity_regularizer="l2")
    return keras.Model(image, keras.layers.Dense(3, **added)(image), name=name)


@pytest.mark.parametrize("weight", [0.0, 0.3, 1.0])
def test_what_layers_add_counts_whole(weight):
    """At each weight alike. Of a teacher who knows no more, only that is left to learn at 1."""
    student, teacher = regularized("student"), regularized("teacher")
    teacher.set_weights(student.get_weights())
    model = Distilled(student, teacher, weight, from_logits=True)
    model.compile(keras.optimizers.SGD(0.1), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    images, labels = normal(8, 6), np.arange(8) % 3
    kernel, logits = as_numpy(student.weights[0]), as_numpy(student(images))
    hard = -np.log(softmax(logits)[np.arange(8), labels]).mean()
    expected = (1 - weight) * hard + 0.5 * (kernel**2).sum() + 0.01 * (logits**2).sum() / 8
    assert model.evaluate(images, labels, batch_size=8, verbose=0) == pytest.approx(expected, rel=1e-4)
    assert model.fit(images, labels, batch_size=8, verbose=0).history["loss"] == pytest.approx([expected], rel=1e-4)
    if weight == 1:
        moved = kernel - 0.1 * (kernel + 0.02 / 8 * images.T @ logits)
        np.testing.assert_allclose(as_numpy(student.weights[0]), moved, rtol=1e-4, atol=1e-5)


def test_a_teacher_stays_frozen():
    model = Distilled(*networks())
    for value in (True, False, True):
        model.trainable = value
        assert model.trainable is value
        assert len(model.trainable_variables) == 6 * value
        assert not model.teacher.trainable
        assert not model.teacher.trainable_variables


def giving(*names: str, named: bool = True) -> keras.Model:
    """A network whose outputs are in a dictionary or list."""
    network, _ = networks()
    return keras.Model(network.input, {name: network.output for name in names} if named else [network.output] * len(names))


class Subclassed(keras.Model):
    """Which has no shapes."""

    def call(self, x):
        return x


def test_bad_arguments():
    student, teacher = networks()
    other = keras.Sequential([keras.Input((6,)), keras.layers.Dense(4)])
    for make, message in (
        (lambda: BinaryCrossentropy(0), "`classes` must be an integer of at least 1"),
        (lambda: BinaryCrossentropy(3, smoothing=1.0), "`smoothing` must be a number from 0 to below 1"),
        (lambda: value(BinaryCrossentropy(3), [0, 1], normal(2, 4)), r"predictions \(n, 3\). Received: \(2,\), \(2, 4\)"),
        (lambda: value(BinaryCrossentropy(4), normal(2, 3), normal(2, 4)), r"Received: \(2, 3\), \(2, 4\)"),
        (lambda: Distilled(student, other), "two networks with the same outputs"),
        (lambda: Distilled(student, student), "two networks with the same outputs"),
        (lambda: Distilled(student, "teacher"), "`teacher` must be a keras.Model. Received: str"),
        (lambda: Distilled(Subclassed(name="sub"), teacher), "`student` must have one output, .*'sub', a Subclassed with no known"),
        (lambda: Distilled(student, keras.Sequential([keras.layers.Dense(3)])), "`teacher` must have .* a Sequential with no known"),
        (lambda: Distilled(giving("a", "b"), teacher), r"`student` must have .* with {'a': \(None, 3\), 'b': \(None, 3\)}"),
        (lambda: Distilled(giving("a"), teacher), r"`student` must have .* with {'a': \(None, 3\)}"),
        (lambda: Distilled(student, giving("a", named=False)), r"`teacher` must have .* with \[\(None, 3\)\]"),
        (lambda: Distilled(student, teacher, weight=1.5), "`weight` is at most 1"),
        (lambda: Distilled(student, teacher, temperature=0), "`temperature` above 0"),
    ):
        with pytest.raises(ValueError, match=message):
            make()
