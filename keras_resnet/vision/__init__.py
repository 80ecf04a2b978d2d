"""Floor 4: what stands around a model in use: pictures in, names out. What stands around one in training is in `learning`."""
