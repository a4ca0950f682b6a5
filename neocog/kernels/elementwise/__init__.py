"""Activations, normalization, dropout and sums: what computes each element on its own."""
