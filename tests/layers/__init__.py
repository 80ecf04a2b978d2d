"""Mirrors `keras_resnet/layers`."""
