"""Logits of torchvision's and timm's networks, and how their weights and images are made again from names alone."""
