"""PyTorch beside neocog; the only package that imports torch."""
