"""Archives of pictures, which are read without unpacking them."""
