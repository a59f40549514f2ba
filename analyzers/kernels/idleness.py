"""Why replicas are idle, and whose idleness it is (DESIGN: attribution).

Nothing here costs more because a fleet or a session is large: seconds go into prefix sums per replica and cause,
and a session is credited with the difference when what it is counted as changes.
"""

from tracekit.analyzers.kernels.jit import kernel, small_kernel
from tracekit.analyzers.kernels.layout import NOBODY, Rows
from tracekit.analyzers.kernels.simulation import (
    CLIENT_WAIT,
    IDLE,
    IMBALANCE,
    NO_CAUSE,
    NO_DEMAND,
    OFF,
    PEER_CALL,
    TOOL_WAIT,
    TRANSFER,
    Simulation,
    unsettle,
)


@kernel
def append_segment(
    sim: Simulation,
    segments: Rows,
    replica: int,
    state: int,
    cause: int,
    span: tuple[float, float],
    joules: float,
    steps: int,
) -> None:
    """Write a segment, or lengthen the replica's last one if state and cause are the same."""
    last = sim.engines[replica]["last_segment"]
    if last != NOBODY and segments[last]["state"] == state and segments[last]["cause"] == cause:
        row = segments[last]
        row["end_s"] = span[1]
        row["energy_j"] += joules
        row["steps"] += steps
        return
    tally = sim.tally[0]
    row = segments[tally["segments"]]
    row["replica"] = replica
    row["state"] = state
    row["cause"] = cause
    row["start_s"] = span[0]
    row["end_s"] = span[1]
    row["energy_j"] = joules
    row["steps"] = steps
    sim.engines[replica]["last_segment"] = tally["segments"]
    tally["segments"] += 1


@kernel
def cause_of_idle(sim: Simulation, replica: int) -> int:
    """Return the first cause that holds; a call is only ever passed over by a replica that is busy."""
    engine = sim.engines[replica]
    if engine["power_state"] != IDLE:
        return NO_CAUSE
    if engine["coming_head"] != NOBODY:
        return TRANSFER
    if sim.tiers[engine["tier"]]["passed_sessions"] > 0:
        return IMBALANCE
    if sim.idle[replica, TOOL_WAIT]["sessions"] > 0:
        return TOOL_WAIT
    if sim.idle[replica, CLIENT_WAIT]["sessions"] > 0:
        return CLIENT_WAIT
    if sim.idle[replica, PEER_CALL]["sessions"] > 0:
        return PEER_CALL
    return NO_DEMAND


@small_kernel
def session_of(sim: Simulation, ticket: int) -> int:
    return int(sim.calls[sim.tickets[ticket]["call"]]["session"])


@kernel
def is_first_of_session(sim: Simulation, replica: int, ticket: int) -> bool:
    """Whether no call of the same session is before it among those whose KV comes to the replica."""
    other = sim.engines[replica]["coming_head"]
    while other != ticket:
        if session_of(sim, other) == session_of(sim, ticket):
            return False
        other = sim.tickets[other]["next"]
    return True


@kernel
def credit_transfers(sim: Simulation, replica: int, elapsed: float) -> None:
    """Give the idleness to the sessions whose KV comes to the replica, equally."""
    engine = sim.engines[replica]
    pool = sim.pools[engine["pool"]]
    sessions = 0
    ticket = engine["coming_head"]
    while ticket != NOBODY:
        sessions += is_first_of_session(sim, replica, ticket)
        ticket = sim.tickets[ticket]["next"]
    share = elapsed / sessions
    ticket = engine["coming_head"]
    while ticket != NOBODY:
        if is_first_of_session(sim, replica, ticket):
            row = sim.sessions[session_of(sim, ticket)]
            row["idle_s"][TRANSFER] += share
            row["idle_j"][TRANSFER] += share * pool["idle_w"]
            row["idle_usd"][TRANSFER] += share * pool["usd_per_s"]
        ticket = sim.tickets[ticket]["next"]


@kernel
def accrue_idle(sim: Simulation, replica: int, now: float) -> None:
    """Bring the replica's IDLE_TALLY up to now, before what it is divided by changes."""
    engine = sim.engines[replica]
    cause = engine["cause"]
    elapsed = now - engine["accrued_s"]
    if elapsed > 0.0:
        if cause in (TOOL_WAIT, CLIENT_WAIT, PEER_CALL):
            idle = sim.idle[replica, cause]
            idle["share"] += elapsed / idle["sessions"]
        elif cause == TRANSFER:
            credit_transfers(sim, replica, elapsed)
    engine["accrued_s"] = now


@small_kernel
def accrue_imbalance(sim: Simulation, tier: int, now: float) -> None:
    row = sim.tiers[tier]
    elapsed = now - row["until_s"]
    if row["imbalanced"] > 0 and elapsed > 0.0:
        part = elapsed / row["passed_sessions"]
        row["share_s"] += part * row["imbalanced"]
        row["share_j"] += part * row["imbalanced_w"]
        row["share_usd"] += part * row["imbalanced_usd_s"]
    row["until_s"] = now


@kernel
def recount_place(sim: Simulation, session: int, tier: int, now: float) -> None:
    """Credit the session with its idle so far in the tier and count it anew."""
    agent = sim.agents[session]
    place = sim.places[session, tier]
    home = place["home"]
    wanted = NO_CAUSE
    if home != NOBODY and place["to_place"] > 0:
        wanted = CLIENT_WAIT
        if agent["in_flight"] > 0:
            wanted = PEER_CALL
        elif agent["open_tools"] > 0:
            wanted = TOOL_WAIT
    counted = place["counted_as"]
    if counted == wanted and (
        counted == NO_CAUSE
        or (place["counted_home"] == home and place["counted_tools"] == agent["open_tools"])
    ):
        return
    if counted != NO_CAUSE:
        old = place["counted_home"]
        accrue_idle(sim, old, now)
        pool = sim.pools[sim.engines[old]["pool"]]
        idle_s = sim.idle[old, counted]["share"] - place["mark"]
        row = sim.sessions[session]
        row["idle_s"][counted] += idle_s
        row["idle_j"][counted] += idle_s * pool["idle_w"]
        row["idle_usd"][counted] += idle_s * pool["usd_per_s"]
        if counted == TOOL_WAIT:
            agent["tool_share_s"] += idle_s / place["counted_tools"]
            agent["tool_share_j"] += idle_s * pool["idle_w"] / place["counted_tools"]
        sim.idle[old, counted]["sessions"] -= 1
        unsettle(sim, old)
    if wanted != NO_CAUSE:
        accrue_idle(sim, home, now)
        sim.idle[home, wanted]["sessions"] += 1
        place["mark"] = sim.idle[home, wanted]["share"]
        unsettle(sim, home)
    place["counted_as"] = wanted
    place["counted_home"] = home
    place["counted_tools"] = agent["open_tools"]


@kernel
def recount_session(sim: Simulation, session: int, now: float) -> None:
    """Count the session anew in every tier, after its calls or tools changed."""
    for tier in range(sim.tiers.size):
        recount_place(sim, session, tier, now)


@small_kernel
def unsettle_tier(sim: Simulation, tier: int) -> None:
    row = sim.tiers[tier]
    for replica in range(row["first_replica"], row["end_replica"]):
        unsettle(sim, replica)


@kernel
def enter_passed_over(sim: Simulation, replica: int, ticket: int, now: float) -> None:
    tier = sim.engines[replica]["tier"]
    row = sim.tiers[tier]
    sim.tickets[ticket]["passed_over"] = 1
    place = sim.places[session_of(sim, ticket), tier]
    if place["passed_calls"] == 0:
        accrue_imbalance(sim, tier, now)
        row["passed_sessions"] += 1
        place["passed_mark_s"] = row["share_s"]
        place["passed_mark_j"] = row["share_j"]
        place["passed_mark_usd"] = row["share_usd"]
        if row["passed_sessions"] == 1:
            unsettle_tier(sim, tier)
    place["passed_calls"] += 1


@kernel
def leave_passed_over(sim: Simulation, replica: int, ticket: int, now: float) -> None:
    tier = sim.engines[replica]["tier"]
    row = sim.tiers[tier]
    sim.tickets[ticket]["passed_over"] = 0
    session = session_of(sim, ticket)
    place = sim.places[session, tier]
    place["passed_calls"] -= 1
    if place["passed_calls"] == 0:
        accrue_imbalance(sim, tier, now)
        row["passed_sessions"] -= 1
        idle = sim.sessions[session]
        idle["idle_s"][IMBALANCE] += row["share_s"] - place["passed_mark_s"]
        idle["idle_j"][IMBALANCE] += row["share_j"] - place["passed_mark_j"]
        idle["idle_usd"][IMBALANCE] += row["share_usd"] - place["passed_mark_usd"]
        if row["passed_sessions"] == 0:
            unsettle_tier(sim, tier)


@small_kernel
def count_imbalanced(sim: Simulation, replica: int, change: int, now: float) -> None:
    engine = sim.engines[replica]
    pool = sim.pools[engine["pool"]]
    accrue_imbalance(sim, engine["tier"], now)
    row = sim.tiers[engine["tier"]]
    row["imbalanced"] += change
    row["imbalanced_w"] += change * pool["idle_w"]
    row["imbalanced_usd_s"] += change * pool["usd_per_s"]
    if row["imbalanced"] == 0:  # what rounding has left of differences
        row["imbalanced_w"] = 0.0
        row["imbalanced_usd_s"] = 0.0


@small_kernel
def add_null_idle(sim: Simulation, replica: int, seconds: float) -> None:
    pool = sim.pools[sim.engines[replica]["pool"]]
    tally = sim.tally[0]
    tally["null_idle_s"] += seconds
    tally["null_idle_j"] += seconds * pool["idle_w"]
    tally["null_idle_usd"] += seconds * pool["usd_per_s"]


@kernel
def leave_idle(sim: Simulation, segments: Rows, replica: int, now: float) -> None:
    """Close the replica's open segment, if there is one."""
    engine = sim.engines[replica]
    state = engine["idle_state"]
    if state == NO_CAUSE:
        return
    cause = engine["cause"]
    accrue_idle(sim, replica, now)
    begin = engine["idle_from_s"]
    if cause == IMBALANCE:
        count_imbalanced(sim, replica, -1, now)
    elif cause == NO_DEMAND or (cause == NO_CAUSE and state != OFF):
        add_null_idle(sim, replica, now - begin)
    if now > begin:
        joules = 0.0
        if state != OFF:
            joules = sim.pools[engine["pool"]]["idle_w"] * (now - begin)
        append_segment(sim, segments, replica, state, cause, (begin, now), joules, 0)
    engine["cause"] = NO_CAUSE
    engine["idle_state"] = NO_CAUSE


@kernel
def settle_cause(sim: Simulation, segments: Rows, replica: int, now: float) -> None:
    """Open a new segment if the replica is not busy and its state or cause has changed."""
    engine = sim.engines[replica]
    engine["is_unsettled"] = 0
    if engine["busy"]:
        return
    cause = cause_of_idle(sim, replica)
    if cause == engine["cause"] and engine["power_state"] == engine["idle_state"]:
        return
    leave_idle(sim, segments, replica, now)
    engine["cause"] = cause
    engine["idle_state"] = engine["power_state"]
    engine["idle_from_s"] = now
    engine["accrued_s"] = now
    if cause == IMBALANCE:
        count_imbalanced(sim, replica, 1, now)


@kernel
def settle_causes(sim: Simulation, segments: Rows, now: float) -> None:
    """At the end of an instant, settle every replica that anything has happened to."""
    tally = sim.tally[0]
    for place in range(tally["unsettled"]):
        settle_cause(sim, segments, sim.unsettled[place], now)
    tally["unsettled"] = 0
