"""Pooling over windows, and the gradients."""
