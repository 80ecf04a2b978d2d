"""Metrics of dense prediction: published values, the same counts by NumPy and scipy, many batches, and masks that are wrong."""
