"""Fully connected layers and their gradients."""
