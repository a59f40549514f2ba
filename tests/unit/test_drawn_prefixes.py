"""What drawn sessions share, by hand and against texts written out token by token."""

from itertools import combinations

import numpy as np
import pytest

from tests.oracle.workloads import FLAT, Story, call, columns, fleet, workload_of
from tracekit.analyzers.drawn_sessions import draw_sessions
from tracekit.analyzers.kernels.layout import NOBODY, StepCost
from tracekit.analyzers.kernels.replay import replay
from tracekit.analyzers.prefix_forest import PrefixForest

INSTANT = StepCost(*(0.0,) * len(StepCost._fields))


def asked(prompt, output=16, *parents, prefix=None):
    node = call(prompt, output, *parents)
    node.prefix = prefix
    return node


def recorded(*sessions):
    return workload_of([Story(float(place), list(nodes)) for place, nodes in enumerate(sessions)])


def drawn(workload, *sessions):
    return draw_sessions(workload, np.array(sessions), 10.0 * np.arange(len(sessions)))


def found(workload):
    """Prompt tokens that each call finds in the cache, one call at a time."""
    cost = INSTANT._replace(base_s=1e-3)
    return replay(workload, cost, FLAT, fleet()).calls["cached_tokens"].tolist()


BRINGER = (asked(200), asked(300, 16, 0, prefix=(0, 0, 216)))
FOLLOWER = (asked(150, prefix=(0, 0, 64)), asked(250, 16, 0, prefix=(1, 0, 166)))


def test_two_copies_of_a_session_share_what_it_shared_with_others_and_no_more():
    workload = recorded(BRINGER, FOLLOWER)
    assert found(workload) == [0, 208, 64, 160]
    assert PrefixForest.of(workload).common_tokens().tolist() == [64, 64, 64, 64]
    assert found(drawn(workload, 0, 0, 0)) == [0, 208, 64, 208, 64, 208]
    assert found(drawn(workload, 1, 1)) == [0, 160, 64, 160]


def test_copies_share_whichever_came_first():
    workload = recorded(BRINGER, FOLLOWER)
    assert found(drawn(workload, 0, 1)) == [0, 208, 64, 160]
    assert found(drawn(workload, 1, 0)) == [0, 160, 64, 208]
    assert found(drawn(workload, 1, 0, 1, 0)) == [0, 160, 64, 208, 64, 160, 64, 208]


def test_a_session_that_shared_nothing_with_others_shares_nothing_with_its_copies():
    workload = recorded((asked(200), asked(300, 16, 0, prefix=(0, 0, 216))), (asked(100),))
    assert found(drawn(workload, 0, 0)) == [0, 208, 0, 208]


def test_who_shares_most_stands_in_for_a_session_that_was_not_drawn():
    workload = recorded(
        (asked(300),), (asked(300, prefix=(0, 0, 48)),), (asked(300, prefix=(0, 0, 160)),),
        (asked(300, prefix=(0, 0, 96)),),
    )  # fmt: skip
    assert found(drawn(workload, 1, 2, 3)) == [0, 48, 96]
    assert found(drawn(workload, 3, 1)) == [0, 48]
    assert found(drawn(workload, 2, 2)) == [0, 160]


def test_a_lost_chain_of_sessions_is_followed_to_a_drawn_one():
    workload = recorded((asked(300),), (asked(300, prefix=(0, 0, 96)),), (asked(300, prefix=(1, 0, 200)),))
    assert found(drawn(workload, 0, 2)) == [0, 96]
    assert found(drawn(workload, 2, 0)) == [0, 96]


def test_dtypes_are_kept():
    workload = recorded(BRINGER, FOLLOWER)
    narrow = workload._replace(
        **{
            name: column.astype(np.int32)
            for name, column in columns(workload).items()
            if column.dtype == np.int64
        }
    )
    copied = drawn(narrow, 1, 0, 1)
    for name, column in columns(narrow).items():
        assert getattr(copied, name).dtype == column.dtype, name


# --- against texts written out ---


def random_workload(random):
    sessions = [int(count) for count in random.integers(1, 5, random.integers(2, 6))]
    places = [(session, place) for session, count in enumerate(sessions) for place in range(count)]
    random.shuffle(places)
    nodes = [[asked(0) for _ in range(count)] for count in sessions]
    lengths = {}
    for index, (session, place) in enumerate(places):
        node = nodes[session][place]
        shared = 0
        if index and random.random() < 0.8:
            parent = places[random.integers(0, index)]
            shared = int(random.integers(1, lengths[tuple(parent)] + 1))
            node.prefix = (*map(int, parent), shared)
        node.input_tokens = lengths[session, place] = shared + int(random.integers(1, 9))
    return recorded(*nodes)


def texts(workload):
    """Each prompt as a list of tokens, none of them equal unless it is shared."""
    written = {}

    def text(step):
        if step not in written:
            parent, tokens = int(workload.prefix_parent[step]), int(workload.prefix_tokens[step])
            shared = [] if parent == NOBODY else text(parent)[:tokens]
            count = int(workload.input_tokens[step])
            written[step] = (shared + [(step, place) for place in range(len(shared), count)])[:count]
        return written[step]

    return [text(step) for step in range(len(workload.kind))]


def alike(one, other):
    return next(
        (place for place, pair in enumerate(zip(one, other, strict=False)) if pair[0] != pair[1]),
        min(len(one), len(other)),
    )


@pytest.mark.parametrize("seed", range(60))
def test_copies_share_what_the_recorded_shared(seed):
    random = np.random.default_rng(seed)
    workload = random_workload(random)
    before, steps = texts(workload), len(workload.kind)
    common = [
        max(
            (
                alike(before[step], before[other])
                for other in range(steps)
                if workload.session[other] != workload.session[step]
            ),
            default=0,
        )
        for step in range(steps)
    ]
    assert PrefixForest.of(workload).common_tokens().tolist() == common
    chosen = random.integers(0, len(workload.session_tail_s), random.integers(1, 8))
    copies = drawn(workload, *chosen)
    after = texts(copies)
    origin = [
        step
        for session in chosen
        for step in range(workload.session_step_start[session], workload.session_step_start[session + 1])
    ]
    for one, other in combinations(range(len(after)), 2):
        wanted = alike(before[origin[one]], before[origin[other]])
        if copies.session[one] != copies.session[other]:
            wanted = min(wanted, common[origin[one]], common[origin[other]])
        assert alike(after[one], after[other]) == wanted
