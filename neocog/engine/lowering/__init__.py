"""From a graph to operations: which layers run as one, and how their tensors are connected.

- A convolution takes in 2 × 2 max pooling right behind it, and ReLU where a convolution or a linear
  layer follows, whose input gradient can undo it; a linear layer takes in its ReLU likewise.
- Batch normalization, a sum and an activation run as one pointwise operation.
- For inference batch normalization goes into the weights of the convolution before it, a sum and a
  function into the convolution, and dropout is nothing.

`layer_rules` has a rule for each layer, `builder` what they put operations into, and `fusion` what
operations take over from each other when all are there.
"""

from neocog.engine.lowering.lower import lower

__all__ = ["lower"]
