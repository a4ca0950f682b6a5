"""The arithmetic, compiled by Numba on the user's machine for its own processor.

The only package that imports numba. A kernel takes a *spec* (its sizes, as a type), its operands'
addresses, and which items to work on; see `workers` for how kernels become a program.
"""
