"""Threads that help with one program after another, and wait awake for a moment in between.

To start a thread, or to wake one that sleeps, takes as long as a small network takes for an image;
so does taking Python's lock beside a thread that has it. So helpers stay, and between two programs
they do not return to Python.

Who has work asks helpers, takes part, and waits for the helpers' end, all in one call: Ctrl+C
interrupts Python between two of its steps, and so only when nobody works any more.
"""

import numpy as np
from numba import carray

from neocog.kernels.jit import called_from_python, inlined
from neocog.kernels.simd import atomic_compare_exchange, atomic_store, longs_at
from neocog.kernels.waiting import number_at, raise_number, wait_for_more
from neocog.kernels.workers import CONTROL_EACH, CONTROL_SIZE, GROUP, INSTRUCTION, work

__all__ = ["JOB_SIZE", "MAIL_SIZE", "help_with", "work_together"]

# Words of a helper's mail, on cache lines of their own: how many jobs it was asked to do, and how
# many of them are done.
_ASKED, _DONE = 0, 16
#: A job: addresses and rows of the tables of instructions and of groups, addresses of the step and
#: of the control array, which worker of how many, and how many images at once.
JOB_SIZE = 9
_TABLE, _ROWS, _GROUPS, _COUNT, _STEP, _CONTROL, _RANK, _WORKERS, _IMAGES = range(32, 41)
MAIL_SIZE = 48

_STEP_SIZE = 5

# Empty turns of waiting awake for the next program, some milliseconds, and for a helper's end;
# others may have the core every so often.
_BETWEEN = 300_000
_AT_THE_END = 30_000
_PACE = 3_000


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
def help_with(mail, count):
    """Do so many jobs, each when it is asked for."""
    done = 0
    while done < count:
        wait_for_more(mail, _ASKED, done, _BETWEEN, _PACE)
        run_job(mail)
        done += 1
        raise_number(mail, _DONE, done)


@inlined
def mail_at(address):
    """A helper's mail."""
    return carray(longs_at(address), (MAIL_SIZE,))


@called_from_python
def work_together(busy, mails, jobs, table, groups, step, control, images):
    """Run a program, each helper as one worker and this thread as the first, to its end.

    Args:
        busy: int64 [1], not 0 while somebody has the helpers.
        mails: int64, addresses of helpers' mails, one for each job at least.
        jobs: int64 [workers − 1, JOB_SIZE], without the images.
        table: this worker's, as for `workers.run`.
        groups: as there.
        step: as there.
        control: as there.
        images: in one batch.

    Returns:
        Whether it was done; not if somebody has the helpers.
    """
    if atomic_compare_exchange(busy, 0, 0, 1) != 0:
        return False
    count = len(jobs)
    for h in range(count):
        mail = mail_at(mails[h])
        for word in range(JOB_SIZE - 1):
            mail[_TABLE + word] = jobs[h, word]
        mail[_IMAGES] = images
        raise_number(mail, _ASKED, number_at(mail, _ASKED) + 1)
    nothing = np.zeros(1)
    work(table, groups, step, nothing, nothing, control, 0, count + 1, images, images)
    for h in range(count):
        mail = mail_at(mails[h])
        wait_for_more(mail, _DONE, number_at(mail, _ASKED) - 1, _AT_THE_END, _PACE)
    atomic_store(busy, 0, 0)
    return True
