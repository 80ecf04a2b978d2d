"""Mirrors the tree of `keras_resnet`. `python -m pytest` from the repository's root; one backend a process, by `KERAS_BACKEND`."""
