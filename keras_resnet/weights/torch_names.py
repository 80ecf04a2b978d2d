"""How timm and torchvision name the variables of each family, and what else their files call them."""

from keras_resnet.weights.family import BLOCK, Family

LEAVES = {
    "kernel": "weight",
    "bias": "bias",
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
    "gain": "gain",
    "residual_gain": "skipinit_gain",
    "layer_scale1": "ls1.gamma",
    "layer_scale2": "ls2.gamma",
    "class_token": "cls_token",
    "position": "pos_embed",
}
# In a file, and of no use here: how many batches a norm has seen (its momentum is fixed).
IGNORED = r".*\.num_batches_tracked"
# What files say in other words, one after the other: wrappers of a module, DenseNets before 2018, CIFAR ResNets of akamaster.
SPELLINGS = (
    (r"^(?:module\.|_orig_mod\.)+", ""),
    (r"(denselayer\d+\.(?:norm|conv))\.([12])\.", r"\1\2."),
    (r"^linear\.(weight|bias)$", r"fc.\1"),
)

RESNET = Family(
    modules=(
        (r"stem/conv", "conv1{deep}"),
        (r"stem/norm", "bn1"),
        (r"stem/conv(?P<i>\d)", "conv1.{step}"),
        (r"stem/norm(?P<i>\d)", "conv1.{behind}"),
        (r"stem_pool/conv", "maxpool.0"),
        (r"stem_pool/norm", "maxpool.1"),
        (rf"{BLOCK}/conv(?P<i>\d+)", "layer{s}.{block}.conv{i}"),
        (rf"{BLOCK}/norm(?P<i>\d+)", "layer{s}.{block}.bn{i}"),
        (rf"{BLOCK}/shortcut/conv", "layer{s}.{block}.downsample.{conv}"),
        (rf"{BLOCK}/shortcut/norm", "layer{s}.{block}.downsample.{norm}"),
        (rf"{BLOCK}/attention/(?P<child>\w+)", "layer{s}.{block}.se.{child}"),
        (r"head", "fc"),
    ),
    head=r"fc\..*",
)
PREACTIVATION = Family(
    modules=(
        (r"stem/conv", "stem.conv{last}"),
        (r"stem/(?P<child>(conv|norm)\d)", "stem.{child}"),
        (rf"{BLOCK}/shortcut/conv", "stages.{stage}.blocks.{block}.downsample.conv"),
        (rf"{BLOCK}/(?P<child>\w+)", "stages.{stage}.blocks.{block}.{child}"),
        (r"post_norm/norm", "norm"),
        (r"head", "head.fc"),
    ),
    head=r"head\.fc\..*",
    trailing=((r"head\.fc\.weight", 2),),
)
NORM_FREE = Family(
    modules=(
        (r"stem/conv", "stem.conv{last}"),
        (r"stem/(?P<child>conv\d)", "stem.{child}"),
        (rf"{BLOCK}/shortcut/conv", "stages.{stage}.{block}.downsample.conv"),
        (rf"{BLOCK}/attention/(?P<child>\w+)", "stages.{stage}.{block}.attn_last.{child}"),
        (rf"{BLOCK}/(?P<child>\w+)", "stages.{stage}.{block}.{child}"),
        (BLOCK, "stages.{stage}.{block}"),
        (r"head", "head.fc"),
    ),
    head=r"head\.fc\..*",
    trailing=((r".*\.gain", 3),),
)
DENSE = Family(
    modules=(
        (r"stem/(?P<kind>conv|norm)", "features.{kind}{deepest}"),
        (r"stem/(?P<kind>conv|norm)(?P<i>\d)", "features.{kind}{index}"),
        (r"stage(?P<s>\d+)/layer(?P<l>\d+)/(?P<child>\w+)", "features.denseblock{s}.denselayer{l}.{child}"),
        (r"transition(?P<s>\d+)(_norm)?/(?P<child>\w+)", "features.transition{s}.{child}"),
        (r"post_norm/norm", "features.norm5"),
        (r"head", "classifier"),
    ),
    head=r"classifier\..*",
)
TRANSFORMER = Family(
    modules=(
        (r"stem/conv", "{patches}"),
        (r"stem/norm", "patch_embed.backbone.stem.norm"),
        (r"patches/conv", "patch_embed.proj"),
        (rf"{BLOCK}/(?P<child>(conv|norm)\d)", "{inside}.{child}"),
        (rf"{BLOCK}/shortcut/(?P<child>\w+)", "{resnet}.downsample.{child}"),
        (rf"{BLOCK}/attention/qkv", "{transformer}.attn.qkv"),
        (rf"{BLOCK}/attention/projection", "{transformer}.attn.proj"),
        (rf"{BLOCK}/mlp(?P<i>\d)", "{transformer}.mlp.fc{i}"),
        (BLOCK, "{transformer}"),
        (r"norm", "norm"),
        (r"head", "head"),
        (r"tokens", ""),
    ),
    head=r"head\..*",
)
# A decoder on an encoder, as segmentation_models.pytorch names both.
DECODER = (
    *(
        (rf"{ours}/{child}", f"decoder.blocks.{theirs}.{target}")
        for ours, theirs in ((r"up(?P<i>\d)", "{before}"), (r"(?P<place>x_\d_\d)", "{place}"))
        for child, target in (
            (r"conv(?P<c>\d)", "conv{c}.0"),
            (r"norm(?P<c>\d)", "conv{c}.1"),
            (r"attention(?P<c>\d)/channel/fc1", "attention{c}.attention.cSE.1"),
            (r"attention(?P<c>\d)/channel/fc2", "attention{c}.attention.cSE.3"),
            (r"attention(?P<c>\d)/spatial", "attention{c}.attention.sSE.0"),
        )
    ),
    # FPN: the largest map is p2 there, and the last of its blocks.
    (r"deepest", "decoder.p5"),
    (r"lateral(?P<s>\d)/conv", "decoder.p{after}.skip_conv"),
    *(
        (rf"climb{place}/{kind}(?P<i>\d)", f"decoder.seg_blocks.{4 - place}.block.{{before}}.block.{child}")
        for place in (1, 2, 3, 4)
        for child, kind in enumerate(("conv", "norm"))
    ),
    # DeepLabV3+.
    (r"pyramid/conv_near", "decoder.aspp.0.convs.0.0"),
    (r"pyramid/norm_near", "decoder.aspp.0.convs.0.1"),
    (r"pyramid/far(?P<i>\d)/depthwise", "decoder.aspp.0.convs.{i}.0.0"),
    (r"pyramid/far(?P<i>\d)/conv", "decoder.aspp.0.convs.{i}.0.1"),
    (r"pyramid/far(?P<i>\d)/norm", "decoder.aspp.0.convs.{i}.1"),
    (r"pyramid/conv_whole", "decoder.aspp.0.convs.4.1"),
    (r"pyramid/norm_whole", "decoder.aspp.0.convs.4.2"),
    (r"pyramid/conv_join", "decoder.aspp.0.project.0"),
    (r"pyramid/norm_join", "decoder.aspp.0.project.1"),
    (r"decoder/deep/depthwise", "decoder.aspp.1.0"),
    (r"decoder/deep/conv", "decoder.aspp.1.1"),
    (r"decoder/deep/norm", "decoder.aspp.2"),
    (r"decoder/conv_early", "decoder.block1.0"),
    (r"decoder/norm_early", "decoder.block1.1"),
    (r"decoder/joined/depthwise", "decoder.block2.0.0"),
    (r"decoder/joined/conv", "decoder.block2.0.1"),
    (r"decoder/joined/norm", "decoder.block2.1"),
    (r"head", "segmentation_head.0"),
)


def with_decoder(encoder: Family) -> Family:
    """The names of a network that has such an encoder."""
    inner = tuple((pattern, f"encoder.{target}") for pattern, target in encoder.modules if pattern != "head")
    return Family((*inner, *DECODER), head=r"segmentation_head\..*", trailing=encoder.trailing)
