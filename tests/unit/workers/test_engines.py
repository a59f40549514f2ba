"""Threads and stand-ins for clusters: what goes there, what comes back, and what a cluster's failures are called."""

import socket
import sys
import threading
from contextlib import closing

import pytest

from tests.unit.workers.stand_ins import stand_in
from tracekit.analyzers.workers.engine import engine_named
from tracekit.analyzers.workers.order import Order, carried_out
from tracekit.errors import EngineUnusable

CLUSTERS = pytest.mark.parametrize("name", ["dask", "ray"])


def product(shared, piece):
    """What workers do here."""
    if piece == "no number":
        raise ZeroDivisionError(piece)
    return shared * piece


@pytest.mark.parametrize("name", ["local", "dask", "ray"])
@pytest.mark.parametrize("address", [None, "here"])
def test_every_piece_comes_back_with_its_place(monkeypatch, name, address):
    cluster = None if name == "local" else stand_in(monkeypatch, name)
    engine = engine_named(name, 2, address)
    sent = engine.send(7)
    for _ in range(2):
        assert sorted(engine.map(product, sent, [5, 3, 8])) == [(0, 35), (1, 21), (2, 56)]
    assert list(engine.map(product, sent, [])) == []
    engine.close()
    if cluster is not None:
        assert (cluster.arrived, cluster.ran, cluster.is_open) == (1, 6, False)


@CLUSTERS
def test_what_a_worker_raises_is_raised_in_its_own_words(monkeypatch, name):
    stand_in(monkeypatch, name)
    engine = engine_named(name, 2, None)
    with pytest.raises(ZeroDivisionError, match=r"^no number$"):
        list(engine.map(product, engine.send(7), ["no number"]))


@CLUSTERS
def test_what_nobody_waits_for_is_given_up(monkeypatch, name):
    cluster = stand_in(monkeypatch, name)
    engine = engine_named(name, 2, None)
    with closing(engine.map(product, engine.send(7), [1, 2, 3, 4])) as arriving:
        next(arriving)
    assert (cluster.ran, cluster.cancelled) == (1, 3 if name == "dask" else 0)
    engine.close()
    assert not cluster.is_open


def test_threads_begin_nothing_after_the_end():
    engine = engine_named("local", 1, None)
    begun, may_end = [], threading.Event()

    def work(shared, piece):
        begun.append(piece)
        if piece:
            may_end.wait(20)

    with closing(engine.map(work, None, range(9))) as arriving:
        next(arriving)
    may_end.set()
    engine.close()
    assert len(begun) <= 2


@CLUSTERS
def test_no_cluster_and_no_package(monkeypatch, name):
    cluster = stand_in(monkeypatch, name)
    address = "nowhere"
    with pytest.raises(EngineUnusable, match=address):
        engine_named(name, 2, address)
    monkeypatch.setitem(sys.modules, cluster.module, None)
    with pytest.raises(EngineUnusable, match=rf"pip install 'tracekit-replay\[{name}\]'"):
        engine_named(name, 2, address)


@CLUSTERS
def test_workers_that_are_lost_or_have_no_tracekit(monkeypatch, name):
    cluster = stand_in(monkeypatch, name)
    engine = engine_named(name, 2, None)
    sent = engine.send(7)
    for loss in cluster.losses:
        cluster.broken = loss
        with pytest.raises(EngineUnusable, match="were lost") as told:
            list(engine.map(product, sent, [1, 2]))
        assert "\n" not in str(told.value)
    for broken in cluster.without_code:
        cluster.broken = broken
        with pytest.raises(EngineUnusable, match=r"cannot run tracekit \(.*No module named 'tracekit'\)\. "):
            list(engine.map(product, sent, [1, 2]))


def test_dask_is_asked_for_tracekit_before_anything_is_sent(monkeypatch):
    cluster = stand_in(monkeypatch, "dask")
    cluster.lacks = ModuleNotFoundError("No module named 'tracekit'")
    with pytest.raises(EngineUnusable, match="cannot run tracekit"):
        engine_named("dask", 2, "here:1")
    assert (cluster.arrived, cluster.is_open) == (0, False)


def test_ray_is_not_waited_for_where_nobody_listens(monkeypatch):
    stand_in(monkeypatch, "ray")
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        engine_named("ray", 2, f"ray://{address}").close()
    with pytest.raises(EngineUnusable, match="refused"):
        engine_named("ray", 2, address)


def test_a_worker_with_another_tracekit_refuses():
    assert carried_out(Order.of(product), 2, 3) == 6
    with pytest.raises(EngineUnusable, match="same versions on every worker"):
        carried_out(Order(product, "other"), 2, 3)
