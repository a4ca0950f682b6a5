"""The arithmetic, compiled by Numba on the user's machine for its own processor.

The only package that imports numba. A kernel takes a *spec* (constants of its machine code, and
numbers that it reads), its operands, and which items to work on; `compiler` makes machine code of
it, and `runtime` runs tables of kernels.
"""
