"""Tables that say of which class pictures are: how they are read, whatever their format."""
