"""How kernels become machine code: specs as types, Numba with fewer passes, a cache on disk."""
