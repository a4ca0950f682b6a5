"""Loads object code into memory."""

from functools import cache
from typing import Any

from llvmlite import binding

__all__ = ["load"]


@cache
def _engine() -> Any:
    """Keeps the code that was loaded, until the process ends."""
    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    machine = binding.Target.from_default_triple().create_target_machine()
    return binding.create_mcjit_compiler(binding.parse_assembly(""), machine)


def load(code: bytes, symbol: str) -> int:
    """Load object code; returns the address of its function `symbol`.

    What it calls, such as `exp` and `sched_yield`, is found in this process.
    """
    engine = _engine()
    engine.add_object_file(binding.ObjectFileRef.from_data(code))
    engine.finalize_object()
    return int(engine.get_function_address(symbol))
