"""A replica with slots, as llama.cpp's server has them: one call each, and a cache of one text each."""

from tracekit.analyzers.kernels.jit import kernel
from tracekit.analyzers.kernels.layout import NOBODY
from tracekit.analyzers.kernels.simulation import Simulation

LEAST_ALIKE = 0.1
"""Part of the prompt that a slot must hold, or the one left longest ago is taken: its slot_prompt_similarity."""


@kernel
def common_tokens(sim: Simulation, one: int, other: int) -> int:
    """Return how many tokens two calls' texts begin with alike, by the tree of prefixes."""
    lifts = sim.prefix_lifts
    if lifts[one]["depth"] < lifts[other]["depth"]:
        one, other = other, one
    tokens = 2**62
    while lifts[one]["depth"] > lifts[other]["depth"]:
        above = lifts[one]["above"]
        if lifts[above]["depth"] >= lifts[other]["depth"]:
            tokens = min(tokens, int(lifts[one]["least"]))
        else:
            tokens = min(tokens, int(sim.prefix_tokens[one]))
            above = sim.prefix_call[one]
        one = int(above)
    while one != other:
        if lifts[one]["depth"] == 0:
            return 0
        if lifts[one]["above"] != lifts[other]["above"]:
            tokens = min(tokens, int(lifts[one]["least"]), int(lifts[other]["least"]))
            one = int(lifts[one]["above"])
            other = int(lifts[other]["above"])
        else:
            tokens = min(tokens, int(sim.prefix_tokens[one]), int(sim.prefix_tokens[other]))
            one = int(sim.prefix_call[one])
            other = int(sim.prefix_call[other])
    return tokens


@kernel
def alike(sim: Simulation, replica: int, seat: int, call: int, most: int) -> int:
    """Return how many tokens of the prompt, `most` at the most, are in the slot."""
    row = sim.seats[replica, seat]
    caching = sim.pools[sim.engines[replica]["pool"]]["enable_prefix_cache"]
    if not caching or row["call"] == NOBODY or sim.prefix_lifts.size == 0:
        return 0
    return int(min(row["tokens"], most, common_tokens(sim, call, row["call"])))


@kernel
def seat_for(sim: Simulation, replica: int, call: int, prompt: int) -> tuple[int, int]:
    """Return the free slot most like the call, or else the one left longest ago, and the tokens found there.

    The slot is NOBODY if none is free.
    """
    chosen = NOBODY
    found = 0
    oldest = NOBODY
    for seat in range(sim.pools[sim.engines[replica]["pool"]]["max_num_seqs"]):
        place = sim.seats[replica, seat]
        if place["busy"]:
            continue
        tokens = alike(sim, replica, seat, call, prompt)
        if tokens > found and tokens > LEAST_ALIKE * prompt:
            chosen = seat
            found = tokens
        if oldest == NOBODY or place["left"] < sim.seats[replica, oldest]["left"]:
            oldest = seat
    if chosen == NOBODY and oldest != NOBODY:
        chosen = oldest
        found = alike(sim, replica, chosen, call, prompt)
    return chosen, min(found, prompt - 1)


@kernel
def sit_down(sim: Simulation, replica: int, ticket: int) -> int:
    """Give the call a slot and return the tokens found there."""
    row = sim.tickets[ticket]
    seat, found = seat_for(sim, replica, int(row["call"]), int(row["prompt"]))
    row["seat"] = seat
    sim.seats[replica, seat]["busy"] = 1
    return found


@kernel
def stand_up(sim: Simulation, replica: int, ticket: int, tokens: int) -> None:
    """Leave the slot with so many tokens of the call's text in it."""
    row = sim.tickets[ticket]
    place = sim.seats[replica, row["seat"]]
    place["busy"] = 0
    place["call"] = row["call"]
    place["tokens"] = tokens
    place["left"] = sim.engines[replica]["departures"] + 1
    sim.engines[replica]["departures"] += 1


@kernel
def clear_seats(sim: Simulation, replica: int) -> None:
    """Forget the text of every slot."""
    for seat in range(sim.seats.shape[1]):
        sim.seats[replica, seat]["call"] = NOBODY
        sim.seats[replica, seat]["left"] = 0
