"""The cache of decoded pictures on disk."""
