"""The tree of texts: every call's path is its text, and no path is long, however long its session is."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.oracle.workloads import FLAT, Node, Story, fleet, workload_of
from tracekit.analyzers.kernels.branches import Prefixes, prefixes
from tracekit.analyzers.kernels.layout import NOBODY, Pool, StepCost, StepKind
from tracekit.analyzers.kernels.prepare import pool_rows, prepare
from tracekit.analyzers.kernels.replay import simulate

BLOCK = 4
PER_TOKEN = StepCost(1.0, 0.01, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0)

Call = tuple[int, int, int]
"""A call's parent or NOBODY, the tokens shared with its text, and the tokens of the whole text."""


def laid(calls: list[Call]) -> Prefixes:
    parent, shared, text = np.array(calls, np.int64).T
    return prefixes(parent.astype(np.int32), shared.astype(np.int32), text, BLOCK, 2, 1)


def path_of(known: Prefixes, call: int) -> list[tuple[int, int]]:
    """The call's branches and where each begins, the deepest first."""
    path = []
    branch = int(known.leaves[call])
    while branch != NOBODY:
        path.append((branch, int(known.branches[branch]["start"])))
        branch = int(known.branches[branch]["parent"])
    return path


def blocks_of(known: Prefixes, calls: list[Call], call: int) -> list[tuple[int, int]]:
    """Each full block of the call's text, as (branch, index)."""
    blocks: list[tuple[int, int]] = []
    end = calls[call][2] // BLOCK
    for branch, start in path_of(known, call):
        blocks = [(branch, index) for index in range(start, end)] + blocks
        end = start
    return blocks


def contents_of(calls: list[Call]) -> list[list[object]]:
    """Each full block of each call's text, as what it is: two are equal if they and all before them are."""
    texts: dict[int, list[object]] = {}

    def text(call: int) -> list[object]:
        if call not in texts:
            parent, shared, tokens = calls[call]
            own: list[object] = text(parent)[: shared // BLOCK] if parent != NOBODY else []
            texts[call] = own + [(call, index) for index in range(len(own), tokens // BLOCK)]
        return texts[call]

    return [text(call) for call in range(len(calls))]


def assert_laid_right(calls: list[Call]) -> None:
    """Two calls have a block in common where their texts have, and nowhere else; no path is long."""
    known = laid(calls)
    named: dict[object, object] = {}
    for call, contents in enumerate(contents_of(calls)):
        blocks = blocks_of(known, calls, call)
        assert len(blocks) == len(contents)
        for content, block in zip(contents, blocks, strict=True):
            assert named.setdefault(content, block) == block
        assert len(path_of(known, call)) <= 1 + np.log2(len(calls))
    assert len(set(named.values())) == len(named)


@st.composite
def texts(draw: st.DrawFn) -> list[Call]:
    """Calls that begin with part of another's text, or all of it, in any order but without a circle."""
    calls: list[Call] = []
    for number in range(draw(st.integers(1, 40))):
        parent = draw(st.integers(-1, number - 1)) if draw(st.booleans()) else number - 1
        whole = calls[parent][2] if parent >= 0 else 0
        shared = draw(st.integers(0, whole))
        calls.append((parent, shared, shared + draw(st.sampled_from([0, 1, 4, 7, 30]))))
    order = draw(st.permutations(range(len(calls))))
    place = {old: new for new, old in enumerate(order)}
    return [(place.get(calls[old][0], NOBODY), *calls[old][1:]) for old in order]


@settings(max_examples=200, deadline=None, derandomize=True)
@given(texts())
def test_paths_are_the_texts(calls: list[Call]) -> None:
    assert_laid_right(calls)


def chain(calls: int, kept: int, grown: int) -> list[Call]:
    """Each call keeps all but the end of the text before and goes on differently."""
    return [(call - 1, max(0, call * grown), call * grown + kept) for call in range(calls)]


@pytest.mark.parametrize("kept", [8, 9, 40])
def test_a_session_is_one_branch_with_ends_of_its_calls(kept: int) -> None:
    calls = chain(3_000, kept, BLOCK)
    known = laid(calls)
    assert max(len(path_of(known, call)) for call in range(len(calls))) == 2
    assert_laid_right(calls[:300])


def test_forks_of_forks_are_short_paths() -> None:
    """A thousand calls, each from the middle of a random one before."""
    draw = np.random.default_rng(5)
    calls: list[Call] = [(NOBODY, 0, 400)]
    for number in range(1, 1_000):
        parent = int(draw.integers(max(0, number - 5), number))
        shared = int(draw.integers(calls[parent][2] // 2, calls[parent][2] + 1))
        calls.append((parent, shared, shared + int(draw.integers(0, 60))))
    assert_laid_right(calls)


def test_nothing_of_running_calls_is_left_in_memory() -> None:
    """After a long session, with answers that later prompts keep half of."""
    nodes = [Node(StepKind.CALL, 40, 40)]
    nodes += [
        Node(StepKind.CALL, 40 + 32 * turn, 40, parents=(turn - 1,), prefix=(0, turn - 1, 24 + 32 * turn))
        for turn in range(1, 200)
    ]
    sim = prepare(
        workload_of([Story(0.0, nodes)]),
        pool_rows([Pool(PER_TOKEN, FLAT, fleet(num_blocks=1_000))]),
        0, 0, 0,
    )  # fmt: skip
    assert simulate(sim) is not None
    used = sim.memory.slots[: sim.memory.stock[0]["used_slots"]]
    assert used.size == 200
    assert (used["passing"] == 0).all()
    assert (used["passers"] == 0).all()
    assert (used["growers"] == NOBODY).all()
