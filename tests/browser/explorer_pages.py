"""What a page of the explorer shows, and waiting for it."""

from neocog.data.shapes import shapes

DATA = shapes(0, 600, 50)


def wait_for(open_, what, *, arg=None):
    open_.page.wait_for_function(what, arg=arg, timeout=120_000)
