"""Mirrors `keras_resnet/weights`."""
