"""What `test_one_product.py` runs once a backend, each in a process of its own: `python -m tests.one_backend write|measure FOLDER ...`.

`write` puts networks with filled-in weights into the folder as `.keras` files; `measure` opens all and writes `BACKEND.npz`: logits,
gradients, and what five steps of training give. Only here, in a process that has one backend, a test imports a framework.
"""

import pathlib
import sys
import zlib

import keras
import numpy as np

import keras_resnet
from keras_resnet import layers

CLASSES = 10
BATCH = 8
# For gradients: few images, of which few inputs of a ReLU, 1e4 to 1e5, can be so close to zero that rounding decides their side.
IMAGES = 2
STEPS = 5


def resnet() -> keras.Model:
    """The ImageNet shape in small, basic blocks, option D; odd and even maps on the way down."""
    return keras_resnet.models.resnet(
        (1, 2, 1), (8, 16, 24), block="basic", stem_width=8, shortcut="avg_pool", **common((46, 46, 3), "resnet")
    )


def resnext() -> keras.Model:
    """Grouped bottlenecks that stride in the first 1x1, option C, the last stage dilated; channels first in its input."""
    return keras_resnet.models.resnet(
        (1, 1, 2, 1),
        (16, 16, 32, 32),
        groups=4,
        group_width=16,
        strides_in="1x1",
        stem_width=8,
        shortcut="projection_all",
        output_stride=16,
        data_format="channels_first",
        **common((3, 33, 33), "resnext"),
    )


def resnet20() -> keras.Model:
    """The network of the demo, for smaller pictures: option A, new channels at the end."""
    return keras_resnet.create_model("resnet20", **common((16, 16, 3), "resnet20"))


def preact() -> keras.Model:
    """A functional model of single layers: pre-activation, learned and fixed scales, group norm, zeros on both sides, remat, pools."""
    image = x = keras.Input((21, 21, 4))
    x = layers.Stem(8, 3, 1)(x)
    x = layers.MaxPooling2D(3, 2, padding=1)(x)
    x = layers.PreActBasicBlock(8, residual_scale="learned")(x)
    x = layers.PreActBasicBlock(12, strides=2, shortcut="identity", zero_padding="both", remat=True)(x)
    x = layers.PreActBottleneck(4, strides=2, groups=2, strides_in="1x1", residual_scale="1/sqrt(N)", num_blocks=4)(x)
    x = layers.PreActBottleneck(4, norm="group")(x)
    x = layers.BatchNormalization(momentum=0.9, epsilon=1e-5)(x)
    x = keras.layers.ReLU()(x)
    x = layers.AveragePooling2D(3, 2, padding=1)(x)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(image, keras.layers.Dense(CLASSES, dtype="float32", name="head")(x), name="preact")


# The networks below have smooth activations, and so no input of which rounding decides the side.


def attentive() -> keras.Model:
    """A tiered stem with its blur, squeeze and excitation, blurs in the blocks, efficient channel attention behind it."""
    return keras_resnet.models.resnet(
        (1, 2),
        (8, 16),
        stem="tiered",
        stem_width=8,
        attention="se",
        anti_alias="blur",
        activation="gelu",
        **common((41, 41, 3), "attentive"),
    )


def big_transfer() -> keras.Model:
    """Pre-activation, standardized weights, group norm, a pool over zeros; in keras.applications' places for the strides."""
    return keras_resnet.models.resnetv2(
        (2, 1),
        (8, 16),
        stem_width=16,
        stem_pool="zero_max",
        strides_at="last",
        conv="standardized",
        norm="group",
        activation="silu",
        attention="eca",
        **common((39, 39, 3), "big_transfer"),
    )


def norm_free() -> keras.Model:
    """Scaled weights, learned scalars."""
    return keras_resnet.models.nf_resnet(
        (1, 2), (8, 16), stem="deep", stem_width=8, activation="silu", skip_init=True, **common((37, 37, 3), "norm_free")
    )


def dense() -> keras.Model:
    """A DenseNet whose dense layers recompute what they joined."""
    return keras_resnet.models.cifar_densenet((2, 2), 6, activation="gelu", remat=True, **common((13, 13, 3), "dense"))


def transformer() -> keras.Model:
    """The hybrid, at another size than its positions are for."""
    return keras_resnet.models.vit(
        16,
        (1, 1),
        2,
        patch_size=1,
        backbone_depths=(1, 1),
        position_grid=(4, 4),
        layer_scale=0.5,
        remat=True,
        **common((45, 37, 3), "transformer"),
    )


def common(shape: tuple, name: str) -> dict:
    return dict(input_shape=shape, classes=CLASSES, classifier_activation=None, name=name)


NETWORKS = {
    "resnet": resnet,
    "resnext": resnext,
    "resnet20": resnet20,
    "preact": preact,
    "attentive": attentive,
    "big_transfer": big_transfer,
    "norm_free": norm_free,
    "dense": dense,
    "transformer": transformer,
}
WITHOUT_STATISTICS = ("big_transfer", "norm_free", "transformer")
INFERENCE = ("float32", "mixed_bfloat16")  # dtype policies of the files whose logits are compared, the former for gradients too
TRAINING = "one_sided"  # the file that is trained five steps, in float32


def file_name(network: str, kind: str) -> str:
    return f"{network}.{kind}.keras"


def fill(model: keras.Model, one_sided: bool) -> None:
    """Values that hide no fault, as gammas of 1, betas and a learned scale of 0 would. Kernels keep those they were drawn with.

    The branches' last norms are small against what they are added to, as they are in trained networks. With gammas around 1 each backend's
    bfloat16 logits are up to 1.4e-2 from its own in float32, and so 2e-2 from one another, without any fault.

    `one_sided`: each norm lifts a channel to one side of the ReLU behind it, by four or more of its standard deviations: most channels
    pass, every third of an inner norm does not. With inputs on both sides, one of the two million that resnet20 has in a batch at 32
    pixels lies so close to zero in about every third step that rounding decides its side. The step then differs by 1e-4 and five steps
    by 1e-2, between any two backends and between two paths of one, and no tolerance could tell that from a fault. All norms are small
    then, or the head, which sees their sum, would not learn but diverge.
    """
    for number, variable in enumerate(model.weights):
        leaf = variable.path.rpartition("/")[2]
        if leaf == "kernel" and ("/attention/" in variable.path or "/mlp" in variable.path) and len(variable.shape) == 2:
            # A transformer's start so small that its logits hardly depend on the image.
            variable.assign(8 * keras.ops.convert_to_numpy(variable.value))
        if leaf not in ("gamma", "beta", "bias", "residual_gain", "gain"):
            continue
        value = np.random.RandomState(number).uniform(-1, 1, variable.shape)
        if one_sided and leaf == "gamma":
            value = 0.045 + 0.005 * value
        elif one_sided and leaf == "beta":
            value = 0.23 + 0.03 * value
            if variable.path.endswith(("norm1/beta", "stem/norm/beta")):
                value[::3] *= -1
        else:
            value = 0.3 * value + (leaf in ("gamma", "residual_gain", "gain"))
            if variable.path.endswith(("norm2/gamma", "norm3/gamma")):
                value *= 0.3
        variable.assign(value.astype("float32"))


def take_statistics(model: keras.Model) -> None:
    """Sets moving means and variances to those of one batch: a pass at momentum 0.9 moves them a tenth of the way from 0 and 1."""
    images, _ = batches(model)
    model(images[-1], training=True)
    for variable in model.non_trainable_variables:
        if "moving_" in variable.path:
            start = float(variable.path.endswith("variance"))
            variable.assign(10 * (keras.ops.convert_to_numpy(variable.value) - 0.9 * start))


def let_the_head_see(model: keras.Model, factor: float = 3.0) -> None:
    """Makes the loss depend on the blocks: one-sided channels are nearly constant, and as drawn the head makes little of what varies.

    A larger kernel does, and the bias takes away what is the same for all images, with which training would diverge.
    """
    images, _ = batches(model)
    head = model.get_layer("head")
    head.kernel.assign(factor * keras.ops.convert_to_numpy(head.kernel.value))
    head.bias.assign(keras.ops.convert_to_numpy(head.bias.value) - model.predict(images[-1], verbose=0).mean(axis=0))


def write(folder: pathlib.Path, network: str) -> None:
    """The three files of a network, on this backend; the statistics are those of images, or its logits would hardly depend on them."""
    for kind in (*INFERENCE, TRAINING):
        keras.utils.set_random_seed(1)
        keras.config.set_dtype_policy("mixed_bfloat16" if kind == "mixed_bfloat16" else "float32")
        model = NETWORKS[network]()
        fill(model, one_sided=kind == TRAINING)
        take_statistics(model)
        if kind == TRAINING:
            let_the_head_see(model)
        model.save(folder / file_name(network, kind))


def batches(model: keras.Model) -> tuple[np.ndarray, np.ndarray]:
    """Images of `model`'s shape, one batch a step, lighter or darker by their label so that there is something to learn; labels."""
    random = np.random.RandomState(zlib.crc32(model.name.encode()))
    labels = random.randint(0, CLASSES, (STEPS, BATCH))
    images = random.standard_normal((STEPS, BATCH, *model.input_shape[1:])) + (labels / 2 - 2)[:, :, None, None, None]
    return images.astype("float32"), labels.astype("int32")


def loss_of(logits, labels):
    return keras.ops.mean(keras.losses.sparse_categorical_crossentropy(labels, logits, from_logits=True))


def gradients(model: keras.Model, x: np.ndarray, y: np.ndarray, training: bool = True) -> list:
    """Of the loss by each trainable variable, as each framework has it; in training, or with the moving statistics."""
    backend = keras.backend.backend()
    if backend == "torch":
        loss_of(model(x, training=training), y).backward()
        return [variable.value.grad for variable in model.trainable_variables]
    if backend == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape() as tape:
            loss = loss_of(model(x, training=training), y)
        return tape.gradient(loss, [variable.value for variable in model.trainable_variables])
    import jax

    def loss_by(trainable, others):
        logits, others = model.stateless_call(trainable, others, x, training=training)
        return loss_of(logits, y), others

    values = [variable.value for variable in model.trainable_variables], [variable.value for variable in model.non_trainable_variables]
    return jax.jit(jax.grad(loss_by, has_aux=True))(*values)[0]


def path_in(model: keras.Model, variable: keras.Variable) -> str:
    """Its place among the model's weights and its own name: layers that Keras numbered have other names in another process."""
    place = next(i for i, other in enumerate(model.weights) if other is variable)
    return f"{place:03d}.{variable.path.replace('/', '.')}"


def measure(folder: pathlib.Path) -> None:
    found: dict[str, np.ndarray] = {}
    for network in NETWORKS:
        for kind in INFERENCE:
            model = keras.models.load_model(folder / file_name(network, kind))
            images, labels = batches(model)
            found[f"{network}/logits/{kind}"] = model.predict(images[0], verbose=0)
        model = keras.models.load_model(folder / file_name(network, "float32"))
        for variable, gradient in zip(model.trainable_variables, gradients(model, images[0, :IMAGES], labels[0, :IMAGES]), strict=True):
            assert gradient is not None, f"{network}: no gradient reaches {variable.path}"
            found[f"{network}/gradients/{path_in(model, variable)}"] = keras.ops.convert_to_numpy(gradient)
        model = keras.models.load_model(folder / file_name(network, TRAINING))
        model.compile(keras.optimizers.SGD(0.05, momentum=0.9), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        losses = []
        for x, y in zip(images, labels, strict=True):
            model.reset_metrics()  # else Keras gives the mean of all steps so far
            losses.append(float(model.train_on_batch(x, y)))
        found[f"{network}/losses"] = np.array(losses)
        for variable in model.non_trainable_variables:
            if "moving_" in variable.path:
                found[f"{network}/statistics/{path_in(model, variable)}"] = keras.ops.convert_to_numpy(variable.value)
    np.savez(folder / f"{keras.backend.backend()}.npz", **found)


if __name__ == "__main__":
    command, place, *names = sys.argv[1:]
    if command == "write":
        for name in names:
            write(pathlib.Path(place), name)
    else:
        measure(pathlib.Path(place))
