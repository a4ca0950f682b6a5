"""Disks that fail, and processes that end, at every call in turn."""

import io
import os


class Killed(Exception):  # noqa: N818
    """A process that ends here: nothing afterwards happens."""


class Faulty:
    """Counts the calls that change a disk, and has one of them fail, or it and all after it."""

    def __init__(self, monkeypatch, at=None, error=None):
        self.calls = []
        self.at = at
        self.error = error
        for where, name in (
            (os, "fsync"),
            (os, "mkdir"),
            (os, "rename"),
            (os, "replace"),
            (os, "rmdir"),
            (os, "unlink"),
            (os, "open"),
            (os, "listdir"),
            (io, "open"),
        ):
            monkeypatch.setattr(where, name, self._watched(name, getattr(where, name)))

    def _watched(self, name, function):
        def call(*args, **settings):
            self.tell(name)
            result = function(*args, **settings)
            if name == "open" and not isinstance(result, int):
                return Tattling(result, self)
            return result

        return call

    def tell(self, name):
        self.calls.append(name)
        if self.error is None:
            return
        if len(self.calls) == self.at or (isinstance(self.error, Killed) and self.dead):
            raise self.error

    @property
    def dead(self):
        return len(self.calls) >= self.at


class Tattling:
    """A file whose writing may fail."""

    def __init__(self, file, faulty):
        self._file = file
        self._faulty = faulty

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._file.close()

    def __getattr__(self, name):
        return getattr(self._file, name)

    def write(self, data):
        self._faulty.tell("write")
        return self._file.write(data)
