"""Mirrors `keras_resnet/models`."""
