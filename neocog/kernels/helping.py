"""A thread that helps with one program after another, and waits awake for a moment in between.

One thread asks, one helps; between them is a small array, the mail. While it is awake the helper
does not return to Python: taking Python's lock beside a thread that has it takes longer than a
small network takes for an image. Whoever helps says that it goes to sleep before it looks for the
last time, and whoever asks looks for that after asking: one of the two sees the other, and an
exchange decides who it was.
"""

import numpy as np
from numba import carray

from neocog.kernels.compiling import called_from_python, inlined
from neocog.kernels.simd import (
    atomic_add,
    atomic_exchange,
    atomic_load,
    atomic_store,
    longs_at,
    pause,
    scheduler_yield,
)
from neocog.kernels.workers import CONTROL_EACH, CONTROL_SIZE, GROUP, INSTRUCTION, work

__all__ = ["JOB", "MAIL_SIZE", "ask", "await_end", "help_awake"]

# Words of the mail, on cache lines of their own.
_ASKED, _ASLEEP, _DONE = 0, 16, 32
#: What is to be done: addresses and rows of the tables of instructions and of groups, addresses of
#: the step and of the control array, which worker of how many, and how many images at once.
JOB = slice(48, 57)
_TABLE, _ROWS, _GROUPS, _COUNT, _STEP, _CONTROL, _RANK, _WORKERS, _IMAGES = range(48, 57)
MAIL_SIZE = 64

_STEP_SIZE = 5

# Empty turns before sleeping, about a millisecond; others may have the core every so often.
_PATIENCE = 300_000
_YIELDING = 3_000


@inlined
def run_job(mail):
    """Run the program that the mail says."""
    table = carray(longs_at(mail[_TABLE]), (mail[_ROWS], INSTRUCTION))
    groups = carray(longs_at(mail[_GROUPS]), (mail[_COUNT], len(GROUP)))
    step = carray(longs_at(mail[_STEP]), (_STEP_SIZE,))
    words = CONTROL_SIZE + CONTROL_EACH * mail[_WORKERS]
    control = carray(longs_at(mail[_CONTROL]), (words,))
    nothing = np.zeros(1)
    images = mail[_IMAGES]
    work(
        table, groups, step, nothing, nothing, control, mail[_RANK], mail[_WORKERS], images, images
    )


@called_from_python
def help_awake(mail):
    """Do what is asked for until nothing has been for a while; then say so, and return."""
    done = atomic_load(mail, _DONE)
    turn = 0
    while True:
        asked = atomic_load(mail, _ASKED)
        if asked != done:
            run_job(mail)
            done = asked
            atomic_store(mail, _DONE, done)
            turn = 0
        elif turn < _PATIENCE:
            turn += 1
            if turn % _YIELDING == 0:
                scheduler_yield()
            pause()
        else:
            atomic_exchange(mail, _ASLEEP, 1)
            # Asked in the meantime: awake again, unless who asked saw it and is waking already.
            if atomic_load(mail, _ASKED) == done or atomic_exchange(mail, _ASLEEP, 0) == 0:
                return
            turn = 0


@called_from_python
def ask(mail):
    """Ask for the job in the mail to be done; gives whether the helper must be woken."""
    atomic_add(mail, _ASKED, 1)
    return atomic_exchange(mail, _ASLEEP, 0) == 1


@called_from_python
def await_end(mail):
    """Wait until all that was asked for is done."""
    turn = 0
    while atomic_load(mail, _DONE) != atomic_load(mail, _ASKED):
        turn += 1
        if turn % _YIELDING == 0:
            scheduler_yield()
        pause()
