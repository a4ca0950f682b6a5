"""Machine code that Numba does not write by itself: vectors, atomics and system calls.

The only folder that imports llvmlite. `memory` and `emitter` emit single instructions on the types
of `vector_types`; a `block` is a function that emits many; `pointers` is for the loops around
blocks; `atomics`, `sleeping` and `denormals` are for threads.
"""
