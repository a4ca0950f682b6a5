"""The graph of an exported program, with each operator's arguments in their places."""

from typing import Any

from torch import fx
from torch.export import ExportedProgram

from neocog.torch_engine.function_rules import is_operator

__all__ = ["operator_graph"]


def operator_graph(program: ExportedProgram) -> fx.GraphModule:
    """A program as a module that reads its own parameters, for `Tracing`.

    Arguments of operators stand where the operator's schema has them, defaults included, so that
    rules find them by position. Nodes that check the input are left out.
    """
    module: fx.GraphModule = program.module()
    graph = module.graph
    for node in list(graph.nodes):
        if node.op == "call_module" and not node.users:
            graph.erase_node(node)
        elif is_operator(node):
            node.args, node.kwargs = _in_place(node)
    module.recompile()
    return module


def _in_place(node: fx.Node) -> tuple[tuple[Any, ...], dict[str, Any]]:
    args, kwargs = [], dict(node.kwargs)
    for n, one in enumerate(node.target._schema.arguments):
        if one.kwarg_only:
            continue
        given = kwargs.pop(one.name, one.default_value)
        args.append(node.args[n] if n < len(node.args) else given)
    return tuple(args), kwargs
