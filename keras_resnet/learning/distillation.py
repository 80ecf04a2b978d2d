"""Knowledge distillation: a network that learns from another one's answers."""

from typing import Any

import keras
from keras import ops

from keras_resnet.backend.replicas import part_of_loss
from keras_resnet.layers.configured import check_flag, check_number


def distillation_loss(teacher_logits: Any, student_logits: Any, temperature: float = 4.0) -> Any:
    """How far a student's softened answers are from a teacher's, a number for each picture, `(n,)`.

    `T^2 KL(softmax(teacher / T) || softmax(student / T))`: with the square, gradients stay as large whatever the temperature.

    Args:
        teacher_logits, student_logits: `(n, classes)`.
        temperature: above 0; the higher, the more wrong classes count.

    Source: Hinton et al. 2015, arXiv:1503.02531, section 2.
    """
    teacher = ops.log_softmax(ops.cast(teacher_logits, "float32") / temperature, axis=-1)
    student = ops.log_softmax(ops.cast(student_logits, "float32") / temperature, axis=-1)
    return ops.sum(ops.exp(teacher) * (teacher - student), axis=-1) * temperature**2


class Distilled(keras.Model):
    """A student that learns from labels and from a teacher: `Distilled(student, teacher).compile("adam", loss)`, then `fit` as ever.

    Its loss is `(1 - weight) * loss(y, student(x)) + weight * distillation_loss(teacher(x), student(x))`, and whatever the student's layers
    add, such as regularization of its weights, whole. Predictions and metrics are the student's; `model.student` is what to save. The
    teacher stays as it is, statistics too, and sees the pictures that come into `fit`, so augment before.

    Args:
        student: the network that learns, built, with one output.
        teacher: a trained network of the same inputs and classes; it is frozen, and stays so whatever `trainable` is set to.
        weight: of the teacher's part, from 0 to 1. At 1 no labels and no loss are needed.
        temperature: above 0; 1 to 20 in the paper.
        from_logits: whether both give logits; otherwise probabilities, of which the logarithm serves.
        name: of the model.

    Raises:
        ValueError: at an argument outside what is listed, and if student and teacher have different outputs, or several, or of shapes that
            are not known, as those of a subclass.

    Source: Hinton et al. 2015, arXiv:1503.02531, section 2.
    """

    def __init__(
        self,
        student: keras.Model,
        teacher: keras.Model,
        weight: float = 0.9,
        temperature: float = 4.0,
        from_logits: bool = False,
        name: str = "distilled",
    ):
        super().__init__(name=name)
        for role, model in (("student", student), ("teacher", teacher)):
            if not isinstance(model, keras.Model):
                raise ValueError(f"`{role}` must be a keras.Model. Received: {type(model).__name__}.")
            outputs = model.compute_output_spec(model.inputs) if hasattr(model, "output_shape") else None
            if not isinstance(outputs, keras.KerasTensor):
                known = "no known outputs" if outputs is None else keras.tree.map_structure(lambda one: one.shape, outputs)
                raise ValueError(
                    f"`{role}` must have one output, of a known shape: be functional, or a Sequential that was called on a batch. "
                    f"Received: {model.name!r}, a {type(model).__name__} with {known}."
                )
        if student.output_shape != teacher.output_shape or student is teacher:
            raise ValueError(
                "`student` and `teacher` must be two networks with the same outputs. "
                f"Received: {student.name!r} with {student.output_shape}, {teacher.name!r} with {teacher.output_shape}."
            )
        check_number("weight", weight, 0)
        check_number("temperature", temperature, 0)
        check_flag("from_logits", from_logits)
        if weight > 1 or temperature == 0:
            raise ValueError(f"`weight` is at most 1, `temperature` above 0. Received: weight={weight!r}, temperature={temperature!r}.")
        teacher.trainable = False
        self.student, self.teacher = student, teacher
        self.weight, self.temperature, self.from_logits = float(weight), float(temperature), bool(from_logits)
        self.built = True

    @property
    def trainable(self) -> bool:
        """Whether the student learns."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._trainable = bool(value)
        self.student.trainable = value

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        return self.student(inputs, training=training)

    def compute_loss(self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True) -> Any:
        """Both parts."""
        added = list(self.losses)  # the student's, as the teacher is still to come
        hard = 0.0
        if self.weight < 1:
            hard = super().compute_loss(x=x, y=y, y_pred=y_pred, sample_weight=sample_weight, training=training)  # and what is added
        taught = ops.stop_gradient(self.teacher(x, training=False))
        each = distillation_loss(self._logits(taught), self._logits(y_pred), self.temperature)
        if sample_weight is not None:
            each = each * ops.cast(sample_weight, each.dtype)
        soft = sum((ops.cast(ops.sum(one), each.dtype) for one in added), ops.mean(each))
        return part_of_loss(self.weight * soft) + (1 - self.weight) * hard

    def _logits(self, outputs: Any) -> Any:
        return outputs if self.from_logits else ops.log(ops.maximum(ops.cast(outputs, "float32"), 1e-7))
