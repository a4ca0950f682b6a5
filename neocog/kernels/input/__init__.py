"""From pictures of bytes to maps of floats, with augmentation on the way."""
