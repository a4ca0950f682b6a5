"""A text that lists the layers of a network."""

from neocog.layers.graph import Graph

__all__ = ["listing"]

# Largest number of lines, and of characters in one.
_MOST_ROWS = 60
_LONGEST_ROW = 300


def listing(graph: Graph) -> str:
    """One line per layer, with its inputs unless all are in a chain; long lists are shortened."""
    rows = [f"  {node.name}={node.layer}" for node in graph.given]
    if not graph.is_chain:
        rows = [f"{row} of {', '.join(n.inputs)}" for row, n in zip(rows, graph.given, strict=True)]
    rows = [row if len(row) <= _LONGEST_ROW else f"{row[:_LONGEST_ROW]} …" for row in rows]
    if len(rows) > _MOST_ROWS:
        half = _MOST_ROWS // 2
        rows[half:-half] = [f"  … and {len(rows) - 2 * half} layers more …"]
    return "\n".join(["Network(", *(f"{row}," for row in rows), ")"])
