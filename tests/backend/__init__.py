"""Mirrors `keras_resnet/backend`."""
