"""Tests of diffusion models."""
