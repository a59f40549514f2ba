"""Why a replica is idle, found from scratch at any instant."""

from __future__ import annotations

from tests.oracle.replica import Replica
from tests.oracle.session import Session
from tracekit.analyzers.kernels.layout import Cause


def explain_idle(
    replica: Replica, tier: list[Replica], sessions: list[Session]
) -> tuple[Cause, list[Session]]:
    """Return the first cause that holds, and the sessions that make it true."""
    expected = {call.step.session for call in replica.coming}
    if expected:
        return Cause.TRANSFER, list(expected)
    others = [other for other in tier if other is not replica]
    passed = {call.step.session for other in others for call in other.waiting if call.passed_over}
    if passed:
        return Cause.IMBALANCE, list(passed)
    attached = [
        session
        for session in sessions
        if session.latest_place(replica.tier) == replica.number and session.has_later_call(replica.tier)
    ]
    quiet = [session for session in attached if not session.has_call_in_flight]
    in_tools = [session for session in quiet if session.open_tools]
    if in_tools:
        return Cause.TOOL_WAIT, in_tools
    if quiet:
        return Cause.CLIENT_WAIT, quiet
    if attached:
        return Cause.PEER_CALL, attached
    return Cause.NO_DEMAND, []
