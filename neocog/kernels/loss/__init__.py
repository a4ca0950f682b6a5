"""Softmax, and the losses with their gradients."""
