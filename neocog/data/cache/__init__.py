"""What was decoded, kept on disk."""
