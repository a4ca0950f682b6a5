"""Threads that help with one program after another, and spin for a moment in between.

Starting a thread, waking one that sleeps, or waiting for Python's lock takes as long as a small
network needs for an image. So helpers stay alive, and do not return to Python between programs.

The caller requests helpers, takes part itself, and waits for the helpers, all in one call. Ctrl+C
interrupts Python only between two bytecodes, so never while workers run.
"""

from collections.abc import Iterator
from typing import Any

from numba import int64

from neocog.kernels.codegen.arrays import pointer_to
from neocog.kernels.codegen.atomics import atomic_compare_exchange, atomic_store
from neocog.kernels.codegen.pointers import advance, longs_at
from neocog.kernels.compiler.jit import Compilable
from neocog.kernels.compiler.operands import operands_at
from neocog.kernels.compiler.python_function import python_function
from neocog.kernels.runtime.waiting import number_at, raise_number, wait_for_more
from neocog.kernels.runtime.workers import run, run_job

__all__ = ["JOB_SIZE", "MAIL_SIZE", "help_with", "kinds", "work_together"]

# Words of a helper's mailbox, on separate cache lines: the number of jobs requested, and the number
# done; then the job.
_ASKED, _DONE, _JOB = 0, 16, 32
#: Words of a job: the operands of `workers.run`.
JOB_SIZE = run.operands_type.size
MAIL_SIZE = _JOB + JOB_SIZE

_TOTAL, _BATCH = run.operands_type.places["total"], run.operands_type.places["batch"]

# Turns of spinning for the next program, some milliseconds, and for a helper's end; and turns after
# which a spinning thread yields the core.
_BETWEEN = 300_000
_AT_THE_END = 30_000
_PACE = 3_000

_job_at = operands_at(run.operands_type)


@python_function(mail=int64[::1], count=int64)
def help_with(given):
    """Do `count` jobs of a mailbox, each when it is requested."""
    mail = given.mail
    done = 0
    while done < given.count:
        wait_for_more(mail, _ASKED, done, _BETWEEN, _PACE)
        run_job(_job_at(advance(pointer_to(mail), _JOB)))
        done += 1
        raise_number(mail, _DONE, done)


@python_function(busy=int64[::1], mails=int64[::1], jobs=int64[:, ::1], images=int64)
def work_together(given):
    """Run a program to its end; this thread is the first worker, and each helper another.

    Operands:
        busy: int64 [1], not 0 while another caller has the helpers.
        mails: int64, addresses of helpers' mailboxes, at least workers − 1.
        jobs: int64 [workers, JOB_SIZE], that of each worker.
        images: images of the one batch.

    Returns:
        1 if it was run; 0 if another caller has the helpers.
    """
    mails, jobs = given.mails, given.jobs
    if atomic_compare_exchange(given.busy, 0, 0, 1) != 0:
        return 0
    for rank in range(len(jobs)):
        jobs[rank, _TOTAL] = given.images
        jobs[rank, _BATCH] = given.images
    for rank in range(1, len(jobs)):
        mail = longs_at(mails[rank - 1])
        for word in range(JOB_SIZE):
            mail[_JOB + word] = jobs[rank, word]
        raise_number(mail, _ASKED, number_at(mail, _ASKED) + 1)
    run_job(_job_at(pointer_to(jobs)))
    for rank in range(1, len(jobs)):
        mail = longs_at(mails[rank - 1])
        wait_for_more(mail, _DONE, number_at(mail, _ASKED) - 1, _AT_THE_END, _PACE)
    atomic_store(given.busy, 0, 0)
    return 1


def kinds() -> Iterator[tuple[Compilable, Any]]:
    """The one kind of each function."""
    yield help_with, None
    yield work_together, None
