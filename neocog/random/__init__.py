"""PyTorch's random numbers without PyTorch."""
