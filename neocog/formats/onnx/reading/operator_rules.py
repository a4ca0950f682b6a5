"""The rules of ONNX's operators: what each becomes in a network, or why it cannot.

Operators of constants are computed at once (`constants`), what is computed of the image before any
layer becomes its preprocessing (`image_rules`), and all others have a rule in one of the modules
below. A rule takes a `Call` and returns what the node's outputs are.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np

from neocog.errors import FormatError
from neocog.formats.onnx.reading import (  # noqa: F401 - they register their rules
    arrangement_rules,
    elementwise_rules,
    merging_rules,
    pooling_rules,
    resizing_rules,
    weight_rules,
)
from neocog.formats.onnx.reading.call import RULES, Call
from neocog.formats.onnx.reading.constants import COPYING, FOLDED, fold
from neocog.formats.onnx.reading.image_rules import of_image
from neocog.formats.onnx.reading.importing import Anything, Importing
from neocog.formats.onnx.reading.messages import Operation

__all__ = ["check_known", "evaluate"]


def check_known(operations: Iterable[Operation]) -> None:
    """Raise `FormatError` for a node that no layer can be, before any other is looked at."""
    for operation in operations:
        if operation.operator not in RULES and operation.operator not in FOLDED:
            raise _unknown(operation)


def _unknown(operation: Operation) -> FormatError:
    return FormatError(f"{operation.where}: there is no layer for this operator.")


def evaluate(importing: Importing, operation: Operation) -> None:
    """Note what the outputs of a node are.

    Raises:
        FormatError: there is no layer for it; the message has the node, and what is the matter.
    """
    call = Call(importing, operation)
    if operation.operator in COPYING and any(map(importing.is_large, operation.inputs)):
        raise call.refused("it computes with a larger constant than networks need")
    values = [call.value(at) if call.given(at) else None for at in range(len(operation.inputs))]
    found: list[Anything] | None = None
    if all(one is None or isinstance(one, np.ndarray) for one in values):
        found = _folded(importing, operation, values)
    if found is None:
        picture = of_image(call, values)
        found = [picture] if picture is not None else None
    if found is None:
        rule = RULES.get(operation.operator)
        if rule is None:
            raise _unknown(operation)
        result = rule(call)
        call.check_all_read()
        found = result if isinstance(result, list) else [result]
    for name, value in zip(operation.outputs, found, strict=False):
        if name:
            importing.keep(name, value)


def _folded(importing: Importing, operation: Operation, values: list[Any]) -> list[Anything] | None:
    arrays = fold(operation, values)
    if arrays is None:
        return None
    for array in arrays:
        if not any(one is not None and np.may_share_memory(one, array) for one in values):
            importing.charged(array)
    return list(arrays)
