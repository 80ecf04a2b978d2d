"""Floor 1: Keras layers. The papers' blocks, and the convolution, norms and pools they are made of."""

from keras_resnet.layers.atrous_pyramid import AtrousPyramid
from keras_resnet.layers.attention import Attention
from keras_resnet.layers.attention_block import AttentionBlock
from keras_resnet.layers.attention_gate import AttentionGate
from keras_resnet.layers.average_pooling import AveragePooling2D
from keras_resnet.layers.basic_block import BasicBlock
from keras_resnet.layers.blur_pooling import BlurPooling2D
from keras_resnet.layers.bottleneck import Bottleneck
from keras_resnet.layers.class_token import ClassToken
from keras_resnet.layers.climbing_convs import ClimbingConvs
from keras_resnet.layers.conv_stack import ConvStack
from keras_resnet.layers.conv_transpose import ConvTranspose
from keras_resnet.layers.convolution import Conv2D
from keras_resnet.layers.convolution_3d import Conv3D
from keras_resnet.layers.crop_to import CropTo
from keras_resnet.layers.decoder_block import DecoderBlock
from keras_resnet.layers.deeplab_decoder import DeepLabDecoder
from keras_resnet.layers.dense_block import DenseBlock
from keras_resnet.layers.dense_layer import DenseLayer
from keras_resnet.layers.diffusion_block import DiffusionBlock
from keras_resnet.layers.drop_block import DropBlock2D
from keras_resnet.layers.efficient_channel_attention import EfficientChannelAttention
from keras_resnet.layers.enlarge import Enlarge
from keras_resnet.layers.full_scale_block import FullScaleBlock
from keras_resnet.layers.global_average_pooling import GlobalAveragePooling2D
from keras_resnet.layers.grid_attention_gate import GridAttentionGate
from keras_resnet.layers.group_normalization import GroupNormalization
from keras_resnet.layers.initializer import HeNormal
from keras_resnet.layers.label_embedding import LabelEmbedding
from keras_resnet.layers.lateral_sum import LateralSum
from keras_resnet.layers.layer_normalization import LayerNormalization
from keras_resnet.layers.max_pooling import MaxPooling2D
from keras_resnet.layers.norm_activation import NormActivation
from keras_resnet.layers.normalization import BatchNormalization
from keras_resnet.layers.normfree_bottleneck import NormFreeBottleneck
from keras_resnet.layers.pad_to_multiple import PadToMultiple
from keras_resnet.layers.patch_stem import PatchStem
from keras_resnet.layers.preact_basic_block import PreActBasicBlock
from keras_resnet.layers.preact_bottleneck import PreActBottleneck
from keras_resnet.layers.presence_gate import PresenceGate
from keras_resnet.layers.residual import Residual
from keras_resnet.layers.residual_conv_stack import ResidualConvStack
from keras_resnet.layers.scaled_standardized_conv import ScaledStandardizedConv2D
from keras_resnet.layers.scse import ScSE
from keras_resnet.layers.separable_conv import SeparableConvNorm
from keras_resnet.layers.shortcut import Shortcut
from keras_resnet.layers.squeeze_excite import SqueezeExcite
from keras_resnet.layers.standardized_conv import StandardizedConv2D
from keras_resnet.layers.stem import Stem
from keras_resnet.layers.stochastic_depth import StochasticDepth
from keras_resnet.layers.timestep_embedding import TimestepEmbedding
from keras_resnet.layers.token_map import TokenMap
from keras_resnet.layers.tokens import Tokens
from keras_resnet.layers.transformer_block import TransformerBlock
from keras_resnet.layers.transition import Transition
from keras_resnet.layers.upsample_conv import UpsampleConv2D
from keras_resnet.layers.upsample_to import UpsampleTo

__all__ = [
    "AtrousPyramid",
    "Attention",
    "AttentionBlock",
    "AttentionGate",
    "AveragePooling2D",
    "BasicBlock",
    "BatchNormalization",
    "BlurPooling2D",
    "Bottleneck",
    "ClassToken",
    "ClimbingConvs",
    "Conv2D",
    "Conv3D",
    "ConvStack",
    "ConvTranspose",
    "CropTo",
    "DecoderBlock",
    "DeepLabDecoder",
    "DenseBlock",
    "DenseLayer",
    "DiffusionBlock",
    "DropBlock2D",
    "EfficientChannelAttention",
    "Enlarge",
    "FullScaleBlock",
    "GlobalAveragePooling2D",
    "GridAttentionGate",
    "GroupNormalization",
    "HeNormal",
    "LabelEmbedding",
    "LateralSum",
    "LayerNormalization",
    "MaxPooling2D",
    "NormActivation",
    "NormFreeBottleneck",
    "PadToMultiple",
    "PatchStem",
    "PreActBasicBlock",
    "PreActBottleneck",
    "PresenceGate",
    "Residual",
    "ResidualConvStack",
    "ScSE",
    "ScaledStandardizedConv2D",
    "SeparableConvNorm",
    "Shortcut",
    "SqueezeExcite",
    "StandardizedConv2D",
    "Stem",
    "StochasticDepth",
    "TimestepEmbedding",
    "TokenMap",
    "Tokens",
    "TransformerBlock",
    "Transition",
    "UpsampleConv2D",
    "UpsampleTo",
]
