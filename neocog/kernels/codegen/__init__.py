"""Machine code that Numba does not write by itself: vectors, atomics and system calls.

The only folder that imports llvmlite. `memory` and `emitter` emit single instructions on the types
of `vector_types`, `loops` also loops and branches; a `block` is a function that emits many, with
`numbers` for what is only known at run time; `pointers` is for Numba's loops around blocks;
`atomics`, `sleeping` and `denormals` are for threads.
"""
