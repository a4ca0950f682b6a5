"""Archives of pictures: where each lies in them, found without unpacking."""
