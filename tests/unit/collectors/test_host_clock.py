"""A host's clocks: what is written when, and how another host is asked for its own."""

import socket

import pytest

from tracekit.collectors import host_clock
from tracekit.collectors.clock_exchange import MESSAGE_BYTES, ClockServer, address, ask
from tracekit.collectors.host_clock import HostClock, boot_id
from tracekit.collectors.inside.clock import Clock

SECOND = 10**9


@pytest.fixture
def hardware(monkeypatch):
    """Clocks that a test sets, in seconds."""
    now = {"monotonic": 100.0, "wall": 1000.0, "slept": 5.0}
    monkeypatch.setattr(
        "tracekit.collectors.inside.clock.monotonic_ns", lambda: round(now["monotonic"] * 1e9)
    )
    monkeypatch.setattr(host_clock.time, "monotonic", lambda: now["monotonic"])
    monkeypatch.setattr(host_clock.time, "time_ns", lambda: round(now["wall"] * 1e9))
    monkeypatch.setattr(host_clock, "_slept_ns", lambda: round(now["slept"] * 1e9))
    return now


def passes(hardware, seconds):
    hardware["monotonic"] += seconds
    hardware["wall"] += seconds


def test_it_is_read_every_ten_seconds(hardware):
    clock = HostClock(Clock(f"{1000 * SECOND}:{100 * SECOND}"))
    ns, values = clock.news()
    assert (ns, values["wall_offset_ns"], values["slept_ns"]) == (1000 * SECOND, 0, 5 * SECOND)
    assert values.keys() == {"wall_offset_ns", "slept_ns", "synchronized", "max_error_ns"}
    passes(hardware, 9)
    assert clock.news() is None
    passes(hardware, 1)
    assert clock.news() is not None
    assert clock.news() is None


def test_a_step_is_written_at_once(hardware):
    clock = HostClock(Clock(f"{1000 * SECOND}:{100 * SECOND}"))
    clock.news()
    hardware["wall"] += 3.0
    ns, values = clock.news()
    assert (ns, values["wall_offset_ns"]) == (1000 * SECOND, 3 * SECOND)


def test_a_sleep_is_written_at_once(hardware):
    """The monotonic clock stood still while the wall clock went on."""
    clock = HostClock(Clock(f"{1000 * SECOND}:{100 * SECOND}"))
    clock.news()
    hardware["wall"] += 1800
    hardware["slept"] += 1800
    ns, values = clock.news()
    assert (ns, values["slept_ns"]) == (1000 * SECOND, 1805 * SECOND)


def test_an_answer_lies_between_question_and_return():
    server = ClockServer("127.0.0.1", 0)
    server.start()
    clock = Clock(f"{1000 * SECOND}:0")  # offset 1000 s from the monotonic clock of this host
    answer = ask("127.0.0.1", server.port, clock.now_ns)
    assert answer["peer_boot_id"] == boot_id()
    times = [answer["sent_ns"], answer["received_ns"] + 1000 * SECOND, answer["replied_ns"] + 1000 * SECOND]
    assert [*times, answer["returned_ns"]] == sorted([*times, answer["returned_ns"]])


def test_who_does_not_ask_properly_gets_no_answer():
    """An answer is never larger than its question, and strangers' datagrams are ignored."""
    server = ClockServer("127.0.0.1", 0)
    server.start()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.settimeout(0.2)
        empty = b"tracekit-clock ".ljust(MESSAGE_BYTES)
        for question in (
            b"",
            b"tracekit-clock x",
            b"x" * MESSAGE_BYTES,
            b"tracekit-clock ".ljust(999),
            empty,
        ):
            stranger.sendto(question, ("127.0.0.1", server.port))
        with pytest.raises(TimeoutError):
            stranger.recv(1000)
        stranger.sendto(b"tracekit-clock abc ".ljust(MESSAGE_BYTES, b"."), ("127.0.0.1", server.port))
        assert b'"abc"' in stranger.recv(1000)


def test_nobody_answers():
    assert ask("127.0.0.1", 9, Clock().now_ns) is None
    assert ask("no such host", 9, Clock().now_ns) is None


@pytest.mark.parametrize(
    ("text", "parts"), [("9753", ("127.0.0.1", 9753)), ("[::1]:80", ("::1", 80)), ("a:1", ("a", 1))]
)
def test_addresses(text, parts):
    assert address(text) == parts


@pytest.mark.parametrize("text", ["", "host", "a:b", "a:-1", "a:99999"])
def test_no_addresses(text):
    with pytest.raises(ValueError, match=r"not HOST:PORT"):
        address(text)
