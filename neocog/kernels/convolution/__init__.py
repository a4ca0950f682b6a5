"""Direct convolutions and their gradients, with pooling and activations fused into them."""
