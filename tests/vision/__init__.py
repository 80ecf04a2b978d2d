"""Tests of keras_resnet/vision."""
