"""A number that grows, and threads that wait until it has: awake for a moment, then asleep.

The number stands in one word of a shared array, doubled; the word is odd while somebody sleeps.

    wait:  awake as long as the wait is worth it; then   2n → 2n + 1 unless it has grown,  sleep
           while the word is 2n + 1, and look again
    raise: word ← 2(n + 1), and if it was odd, wake all

No wake-up is lost, by the order of changes to this one word alone. Whoever sleeps has made the word
2n + 1 before, or seen it so. Raising it exchanges that for 2(n + 1) and sees that it was odd, so it
wakes; and the system looks at the word and falls asleep in one, so either the sleeper is there to
be woken, or it sees another number and does not sleep at all. Nobody makes the word odd after it
was raised for those who wait for this number, because the change asks for 2n. One thread raises a
number at a time.

On two idle cores nobody ever sleeps. With more threads than cores, or beside other programs,
whoever is waited for needs the core. Waiting by yields alone, 4 threads on 2 cores took ten times
as long as 2; and beside a busy program a yield gives it the core for milliseconds.
"""

from neocog.kernels.jit import inlined
from neocog.kernels.simd import (
    atomic_compare_exchange,
    atomic_exchange,
    atomic_load,
    pause,
    scheduler_yield,
    sleep_while,
    wake_all,
)

__all__ = ["number_at", "raise_number", "wait_for_more"]

# Nanoseconds of a nap, where the system cannot wake: longer the longer one has waited already.
_FIRST_NAP, _LONGEST_NAP = 50_000, 10_000_000


@inlined
def number_at(array, index):
    """The number now."""
    return atomic_load(array, index) >> 1


@inlined
def raise_number(array, index, number):
    """Make it `number`, which is more than it was, after everything that was written before."""
    if atomic_exchange(array, index, 2 * number) & 1:
        wake_all(array, index)


@inlined
def wait_for_more(array, index, number, turns, pace):
    """Wait until it is more than `number`; gives whether this was asleep.

    So many empty turns are spent awake, of 10 to 30 ns each, and after every `pace` of them others
    may have the core.
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
