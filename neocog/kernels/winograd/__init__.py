"""3 × 3 convolutions by Winograd's minimal filtering, and their gradients."""
