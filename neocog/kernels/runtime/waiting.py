"""A growing number, and threads that wait for it to grow: they spin for a moment, then sleep.

A word of a shared array holds twice the number; the word is odd while a thread sleeps.

    wait:  spin for a while; then change 2n → 2n + 1 unless the number has grown,  sleep while the
           word is 2n + 1, and check again
    raise: word ← 2(n + 1), and if it was odd, wake all

No wake-up is lost, because of the order of changes to this one word. A thread that sleeps has set
the word to 2n + 1 before, or has seen that value. Raising exchanges it for 2(n + 1), finds it odd,
and so wakes the sleepers. The system checks the word and falls asleep atomically: either the
sleeper is there to be woken, or it sees another number and does not sleep. After the word was
raised, no thread that waits for n can make it odd, because that change requires 2n. Only one thread
raises a number at a time.

On two idle cores no thread ever sleeps. With more threads than cores, or beside other programs, the
thread that others wait for needs the core. Waiting by yields only, 4 threads on 2 cores took ten
times as long as 2; and beside a busy program a yield gives it the core for milliseconds.
"""

from neocog.kernels.codegen.atomics import atomic_compare_exchange, atomic_exchange, atomic_load
from neocog.kernels.codegen.sleeping import pause, scheduler_yield, sleep_while, wake_all
from neocog.kernels.compiler.jit import inlined

__all__ = ["number_at", "raise_number", "wait_for_more"]

# Nanoseconds of a sleep on systems without wake-ups; it grows with the time waited.
_FIRST_NAP, _LONGEST_NAP = 50_000, 10_000_000


@inlined
def number_at(array, index):
    """The current number."""
    return atomic_load(array, index) >> 1


@inlined
def raise_number(array, index, number):
    """Raise the number to `number`, as a release: after all earlier writes."""
    if atomic_exchange(array, index, 2 * number) & 1:
        wake_all(array, index)


@inlined
def wait_for_more(array, index, number, turns, pace):
    """Wait until the number exceeds `number`; returns whether this thread slept.

    It spins for `turns` turns of 10 to 30 ns each, and yields the core after every `pace` of them.
    """
    turn = 0
    nap = _FIRST_NAP
    while atomic_load(array, index) < 2 * number + 2:
        turn += 1
        if turn <= turns:
            if turn % pace == 0:
                scheduler_yield()
            pause()
        elif atomic_compare_exchange(array, index, 2 * number, 2 * number + 1) < 2 * number + 2:
            sleep_while(array, index, 2 * number + 1, nap)
            nap = min(nap + nap // 8, _LONGEST_NAP)
    return turn > turns
