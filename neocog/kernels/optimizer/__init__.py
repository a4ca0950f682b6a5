"""Updates of parameters, their averages, and the clipping of gradients."""
