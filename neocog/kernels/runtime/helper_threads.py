"""Threads that help with one program after another, and spin for a moment in between.

Starting a thread, waking one that sleeps, or waiting for Python's lock takes as long as a small
network needs for an image. So helpers stay alive, and do not return to Python between programs.

The caller requests helpers, takes part itself, and waits for the helpers, all in one call. Ctrl+C
interrupts Python only between two bytecodes, so never while workers run.
"""

import numpy as np
from numba import carray, int64

from neocog.kernels.codegen.atomics import atomic_compare_exchange, atomic_store
from neocog.kernels.codegen.pointers import longs_at
from neocog.kernels.compiler.jit import called_from_python, inlined
from neocog.kernels.runtime.waiting import number_at, raise_number, wait_for_more
from neocog.kernels.runtime.workers import CONTROL_EACH, CONTROL_SIZE, GROUP, INSTRUCTION, work

__all__ = ["JOB_SIZE", "MAIL_SIZE", "help_with", "work_together"]

# Words of a helper's mailbox, on separate cache lines: the number of jobs requested, and the number
# done.
_ASKED, _DONE = 0, 16
#: Words of a job: addresses and rows of the tables of instructions and groups, addresses of the
#: step and the control array, the worker's rank, the number of workers, and the images of the
#: batch.
JOB_SIZE = 9
_TABLE, _ROWS, _GROUPS, _COUNT, _STEP, _CONTROL, _RANK, _WORKERS, _IMAGES = range(32, 41)
MAIL_SIZE = 48

_STEP_SIZE = 5

# Turns of spinning for the next program, some milliseconds, and for a helper's end; and turns after
# which a spinning thread yields the core.
_BETWEEN = 300_000
_AT_THE_END = 30_000
_PACE = 3_000


@inlined
def run_job(mail):
    """Run the job in a mailbox."""
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


@called_from_python(int64[::1], int64)
def help_with(mail, count):
    """Do `count` jobs, each when it is requested."""
    done = 0
    while done < count:
        wait_for_more(mail, _ASKED, done, _BETWEEN, _PACE)
        run_job(mail)
        done += 1
        raise_number(mail, _DONE, done)


@inlined
def mail_at(address):
    """A helper's mailbox."""
    return carray(longs_at(address), (MAIL_SIZE,))


@called_from_python(
    int64[::1],
    int64[::1],
    int64[:, ::1],
    int64[:, ::1],
    int64[:, ::1],
    int64[::1],
    int64[::1],
    int64,
)
def work_together(busy, mails, jobs, table, groups, step, control, images):
    """Run a program to its end; this thread is the first worker, and each helper another.

    Args:
        busy: int64 [1], not 0 while another caller has the helpers.
        mails: int64, addresses of helpers' mailboxes, at least one per job.
        jobs: int64 [workers − 1, JOB_SIZE], without the images.
        table: this worker's, as for `workers.run`.
        groups: as for `workers.run`.
        step: as for `workers.run`.
        control: as for `workers.run`.
        images: images of the one batch.

    Returns:
        Whether it was run; False if another caller has the helpers.
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
