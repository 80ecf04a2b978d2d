"""Recipes, and the program that runs them: `python -m training fashion_resnet20`. It is run from a clone, and pip does not install it."""
