"""Worker threads: each runs the same table of kernels, with barriers between groups.

A *program* is a table of instructions, each the address of a kernel with its operands, cut into
*groups*. The instructions of a group share their items (images of the batch, or slices of a
parameter); a worker takes its own range of the items through all of them, `chunk` items at a time,
so that an instruction finds in the cache what the previous one wrote. Some groups end with a
barrier. A whole epoch is one call; nothing returns to Python in between.

The instructions of a group may also run over one *strip* of an image after another, so that a strip
stays in the cache. A strip of a map is a map itself: it has another address and fewer rows, so the
same kernels work on it. Workers take strips of a single image, but whole images of a batch.

Images are assigned to workers in whole shards, which depend on network and batch only, so results
do not depend on the number of workers. Nor does it matter between two barriers which worker takes a
shard: a worker that has finished its own range steals items from the others (in groups with a
`steal_size`). Otherwise all would wait for a core that another program uses for a while.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numba import float64, int64

from neocog.kernels.codegen.arrays import pointer_to, stack_array
from neocog.kernels.codegen.atomics import atomic_add, atomic_load, atomic_store
from neocog.kernels.codegen.denormals import flush_denormals, restore_denormals
from neocog.kernels.codegen.pointers import advance, function_pointer_call, longs_at
from neocog.kernels.compiler.jit import KERNEL_ARGUMENTS, Compilable, inlined
from neocog.kernels.compiler.operands import MOST_OPERANDS
from neocog.kernels.compiler.python_function import python_function
from neocog.kernels.runtime.waiting import raise_number, wait_for_more

__all__ = [
    "ASKED",
    "BY_IMAGE",
    "BY_ITEM",
    "BY_STRIP",
    "CONTROL_EACH",
    "CONTROL_SIZE",
    "DONE",
    "FIRST",
    "GROUP",
    "INSTRUCTION",
    "KERNEL",
    "NUMBERS",
    "OPERANDS",
    "PATIENCE",
    "STRIPS",
    "UNTIL",
    "kinds",
    "run",
    "run_job",
]

#: Columns of the table of instructions: the addresses of the kernel, of its numbers, and of the
#: addresses of those of each strip.
KERNEL, NUMBERS, STRIPS = range(3)
#: For each operand its address for item 0, and the bytes from one item to the next.
OPERANDS, BY_ITEM = 3, 3 + MOST_OPERANDS
#: In groups of strips also the bytes from one image of a chunk, and from one strip, to the next.
BY_IMAGE, BY_STRIP = BY_ITEM + MOST_OPERANDS, BY_ITEM + 2 * MOST_OPERANDS
INSTRUCTION = BY_STRIP + MOST_OPERANDS

# Words of the control array, each on its own cache line.
_ARRIVED, _GENERATION, _STOPPING = 0, 16, 32
#: The number of finished steps, for progress.
DONE = 48
#: Set to 1 by others to stop after the current step.
ASKED = 64
#: Turns that a worker spins at a barrier before it sleeps.
PATIENCE = 80
#: The image that a run begins with, and the one before which it ends; 0 for the end of all.
FIRST, UNTIL = 81, 82
CONTROL_SIZE = 96
#: Words after these for each worker; the first counts the items taken from its range.
CONTROL_EACH = 16

#: Columns of the table of groups.
GROUP = (
    "first",
    "count",
    "items",
    "chunk",
    "shard",
    "barrier",
    "check_loss",
    "every",
    "steal_size",
    "strips",
    "joined",
)
_FIRST, _COUNT, _ITEMS, _CHUNK, _SHARD, _BARRIER, _CHECK_LOSS, _EVERY, _STEAL_SIZE = range(9)
_STRIPS, _JOINED = 9, 10

# Barriers at which a worker sleeps at once after spinning was in vain: beside other programs,
# spinning would only take the core from the worker it waits for.
_TIRED = 500

_call = function_pointer_call(KERNEL_ARGUMENTS)
_new_operands = stack_array(int64, MOST_OPERANDS)


@inlined
def barrier(control, workers, generation, tired):
    """Wait for every worker; returns the next generation, and how tired this worker is."""
    if workers == 1:
        return generation + 1, 0
    if atomic_add(control, _ARRIVED, 1) == workers - 1:
        atomic_store(control, _ARRIVED, 0)
        for w in range(workers):
            atomic_store(control, CONTROL_SIZE + CONTROL_EACH * w, 0)
        raise_number(control, _GENERATION, generation + 1)
    else:
        patience = control[PATIENCE] if tired == 0 else 0
        if wait_for_more(control, _GENERATION, generation, patience, patience + 1) and not tired:
            return generation + 1, _TIRED
    return generation + 1, max(0, tired - 1)


@inlined
def span(rank, workers, items, shard):
    """A worker's own range of a group's items, in whole shards."""
    shards = (items + shard - 1) // shard
    low = shards * rank // workers * shard
    high = min(items, shards * (rank + 1) // workers * shard)
    return low, high


@inlined
def group_at(groups, g):
    """The row of a group."""
    return advance(groups, g * len(GROUP))


@inlined
def run_whole(table, group, operands, begin, count):
    """Run all of a group's instructions on a chunk of its items."""
    for i in range(group[_FIRST], group[_FIRST] + group[_COUNT]):
        row = advance(table, i * INSTRUCTION)
        for o in range(MOST_OPERANDS):
            operands[o] = row[OPERANDS + o] + begin * row[BY_ITEM + o]
        _call(row[KERNEL], longs_at(row[NUMBERS]), operands, begin, count)


@inlined
def run_strips(table, group, operands, begin, n, first, until):
    """Run all of a group's instructions on strips of the n-th image of a chunk, one by one."""
    for strip in range(first, until):
        for i in range(group[_FIRST], group[_FIRST] + group[_COUNT]):
            row = advance(table, i * INSTRUCTION)
            for o in range(MOST_OPERANDS):
                of_image = begin * row[BY_ITEM + o] + n * row[BY_IMAGE + o]
                of_strip = strip * row[BY_STRIP + o]
                operands[o] = row[OPERANDS + o] + of_image + of_strip
            numbers = longs_at(row[STRIPS])[strip]
            _call(row[KERNEL], longs_at(numbers), operands, begin + n, 1)


@inlined
def run_items(table, groups, g, end, operands, first, until):
    """Run groups g … end on a range of their items, which may be strips of one image."""
    group = group_at(groups, g)
    chunk = group[_CHUNK]
    if group[_STRIPS] > 0 and group[_ITEMS] > 0:
        run_strips(table, group, operands, 0, 0, first, until)
        return
    for begin in range(first, until, chunk):
        count = min(chunk, until - begin)
        for h in range(g, end):
            group = group_at(groups, h)
            if group[_STRIPS] == 0:
                run_whole(table, group, operands, begin, count)
            else:
                for n in range(count):
                    run_strips(table, group, operands, begin, n, 0, group[_STRIPS])


@inlined
def run_groups(table, groups, g, end, operands, control, rank, workers, images):
    """Run groups g … end on this worker's items, then on items stolen from others."""
    group = group_at(groups, g)
    items, shard, steal_size = group[_ITEMS], group[_SHARD], group[_STEAL_SIZE]
    if items == 0:
        items = images
    if steal_size == 0 or workers == 1:
        low, high = span(rank, workers, items, shard)
        run_items(table, groups, g, end, operands, low, high)
        return
    for turn in range(workers):
        whose = (rank + turn) % workers
        low, high = span(whose, workers, items, shard)
        first = low
        while first < high:
            first = low + atomic_add(control, CONTROL_SIZE + CONTROL_EACH * whose, steal_size)
            run_items(table, groups, g, end, operands, first, min(high, first + steal_size))


@inlined
def work(table, groups, many, step, losses, record, control, rank, workers, total, batch):
    """What `run` does, with pointers in the place of arrays; there are `many` groups."""
    before = flush_denormals()
    operands = pointer_to(_new_operands())
    generation = 0
    tired = 0
    every = 1
    for g in range(many):
        every = max(every, group_at(groups, g)[_EVERY])
    until = control[UNTIL] if control[UNTIL] > 0 else total
    done = control[FIRST] // batch
    running = True
    step[3] = total
    for begin in range(control[FIRST], until, batch):
        images = min(batch, total - begin)
        step[0] = begin
        step[1] = images
        step[4] = done
        last = begin + batch >= total
        end = 0
        while end < many:
            g, end = end, end + 1
            while end < many and group_at(groups, end)[_JOINED] == 1:
                end += 1
            if (done + 1) % group_at(groups, g)[_EVERY] != 0 and not last:
                continue
            run_groups(table, groups, g, end, operands, control, rank, workers, images)
            latest = group_at(groups, end - 1)
            if latest[_BARRIER] == 1:
                generation, tired = barrier(control, workers, generation, tired)
            if latest[_CHECK_LOSS] == 1:
                # All workers add the same numbers in the same order, so they decide alike.
                loss = 0.0
                for n in range(images):
                    loss += losses[n]
                loss /= images
                if rank == 0:
                    record[done] = loss
                    atomic_store(control, _STOPPING, atomic_load(control, ASKED))
                if not np.isfinite(loss):
                    running = False
                    break
        if not running:
            break
        done += 1
        if done % every == 0 or last:
            step[2] += 1
        if rank == 0:
            atomic_store(control, DONE, done)
        # Written between two barriers, so all workers read the same value here.
        if atomic_load(control, _STOPPING) == 1:
            break
    restore_denormals(before)
    return done


@inlined
def run_job(job):
    """`run`, for calls from compiled code."""
    return work(
        pointer_to(job.table),
        pointer_to(job.groups),
        len(job.groups),
        pointer_to(job.step),
        pointer_to(job.losses),
        pointer_to(job.record),
        pointer_to(job.control),
        job.rank,
        job.workers,
        job.total,
        job.batch,
    )


@python_function(
    table=int64[:, ::1],
    groups=int64[:, ::1],
    step=int64[::1],
    losses=float64[::1],
    record=float64[::1],
    control=int64[::1],
    rank=int64,
    workers=int64,
    total=int64,
    batch=int64,
)
def run(job):
    """Run a program, as one worker of several, over `total` images in batches.

    Operands:
        table: int64 [instructions, INSTRUCTION], this worker's.
        groups: int64 [groups, len(GROUP)]. `items` of 0 means the images of the batch. `steal_size`
            is how many items a worker takes at a time, first of its own range and then of the
            others'; 0: all of its own range and no more. It needs a barrier before and after the
            group. `check_loss` marks the group after whose barrier the batch's losses are checked.
            A group runs in steps that `every` divides, counted from 1, and in the last. With
            `strips` it runs over each image's strips, one by one; its `items`, if not 0, are those
            of the only image. A `joined` group runs with the one before, chunk by chunk.
        step: int64 [5], this worker's: the beginning of the batch, images in it, earlier steps of
            the optimizer, images in all, earlier batches.
        losses: float64 [batch], the loss of each image of the batch.
        record: float64 [batches], gets the mean loss of each batch.
        control: int64 [CONTROL_SIZE + workers · CONTROL_EACH], shared by all workers. A run
            over part of the batches, from `FIRST` to `UNTIL`, computes the same as a run over all.
        rank: the number of this worker, from 0.
        workers: the number of workers.
        total: images in all.
        batch: images a step.

    Returns:
        The number of finished batches, including those before `FIRST`. A mean loss that is not
        finite ends the run before its update.
    """
    return run_job(job)


def kinds() -> Iterator[tuple[Compilable, Any]]:
    """The one kind of the driver."""
    yield run, None
