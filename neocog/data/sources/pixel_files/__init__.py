"""Files that hold the pixels of many pictures."""
