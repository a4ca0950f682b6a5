"""What goes wrong for a user: each error is one message with the value and what to do about it."""

__all__ = ["ArchitectureError", "DataError", "FormatError", "NeocogError", "TrainingDivergedError"]


class NeocogError(Exception):
    """Any error that neocog raises on purpose; its text is meant to be read by the user."""


class ArchitectureError(NeocogError):
    """Layers whose shapes do not fit each other, or arguments that no layer can have."""


class DataError(NeocogError):
    """Images or labels that are missing, damaged or not of the expected form."""


class FormatError(NeocogError):
    """A file that is damaged, refused for safety, or not of the format it claims."""


class TrainingDivergedError(NeocogError):
    """The loss became NaN or infinite, so training stopped."""
