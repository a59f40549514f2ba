"""The heaps of events: whatever goes in comes out in order of key, then item."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tracekit.analyzers.kernels.events import ENTRY, heap_pop, heap_push

# numba gives kernels no way to be called from Python
PUSH, POP = (getattr(kernel, "py_func", kernel) for kernel in (heap_push, heap_pop))


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.lists(st.one_of(st.none(), st.integers(0, 9)), max_size=80))
def test_the_least_comes_first(told: list[int | None]) -> None:
    """A number is put in with that key, None takes the least out."""
    heap = np.zeros(len(told), ENTRY)
    left: list[tuple[float, int]] = []
    for item, key in enumerate(told):
        if key is not None:
            PUSH(heap, len(left), float(key), -item)
            left.append((float(key), -item))
        elif left:
            assert heap[0].item() == min(left)
            POP(heap, len(left))
            left.remove(min(left))
    for size in range(len(left), 0, -1):
        assert heap[0].item() == min(left)
        POP(heap, size)
        left.remove(min(left))
