"""Traces of hosts whose clocks differ, drift, are stepped and sleep, on one clock; and what the trace says of it."""

import numpy as np
import pytest

from tests.unit.merging.two_hosts import HostAtWork, delays, errors_s, power_at
from tracekit.errors import MergeRefused
from tracekit.merging.merge import merge_traces
from tracekit.schema import Kind
from tracekit.trace import Trace

HOURS = 2.0
TIMES_S = np.linspace(5, HOURS * 3600 - 5, 400)


def merged(tmp_path, *hosts, **offsets_s):
    paths = [host.write(tmp_path / f"{index}.parquet") for index, host in enumerate(hosts)]
    output = tmp_path / "out.parquet"
    merge_traces(paths, output, offsets_s=offsets_s, software_version="0", force=True)
    return Trace.open(output)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("asker", ["client", "gpu"])
def test_clocks_3_s_apart_that_drift_by_50_ppm(tmp_path, seed, asker):
    """After two hours they are 360 ms further apart; asked now and then, they are known to 5 ms throughout."""
    rng = np.random.default_rng(seed)
    client, gpu = HostAtWork("client"), HostAtWork("gpu", 3.0, 50.0)
    power_at(gpu, TIMES_S)
    ask, answer = (client, gpu) if asker == "client" else (gpu, client)
    for true_s in np.arange(1, HOURS * 3600, 20):
        ask.asks(answer, true_s, *delays(rng))
    trace = merged(tmp_path, client, gpu)
    errors = np.abs(errors_s(trace, TIMES_S, client))
    _own, other = trace.provenance.hosts
    assert errors.max() <= 0.005
    assert errors.max() <= other.clock_error_ns / 1e9 <= 0.005
    assert other.clock_source == "exchange"
    assert other.drift_ppm == pytest.approx(-50, abs=1)
    assert other.shift_ns / 1e9 == pytest.approx(-3 - 50e-6 * HOURS * 1800, abs=0.005)


@pytest.mark.parametrize("seed", range(3))
def test_calls_that_both_hosts_recorded(tmp_path, seed):
    rng = np.random.default_rng(seed)
    client, gpu = HostAtWork("client", 0.5, -20.0), HostAtWork("gpu", 3.0, 30.0)
    power_at(gpu, TIMES_S)
    for number, true_s in enumerate(np.arange(1, HOURS * 3600 - 20, 30)):
        there_s, back_s = delays(rng)
        long_s = rng.uniform(0.2, 9)
        client.calls(true_s, true_s + there_s + long_s + back_s, f"id-{number}")
        gpu.calls(true_s + there_s, true_s + there_s + long_s, f"id-{number}")
    trace = merged(tmp_path, client, gpu)
    errors = np.abs(errors_s(trace, TIMES_S, client))
    assert errors.max() <= min(0.005, trace.provenance.hosts[1].clock_error_ns / 1e9)


def test_one_question_is_honest_about_drift(tmp_path):
    """Known to half the delay where it was asked, and to what 500 ppm may do elsewhere."""
    client, gpu = HostAtWork("client"), HostAtWork("gpu", -7.0, 100.0)
    power_at(gpu, TIMES_S)
    client.asks(gpu, 3600, 0.001, 0.003)
    trace = merged(tmp_path, client, gpu)
    error_s = trace.provenance.hosts[1].clock_error_ns / 1e9
    assert np.abs(errors_s(trace, TIMES_S, client)).max() <= error_s
    assert error_s == pytest.approx(0.002 + 500e-6 * 3595, rel=0.01)


def test_one_host_has_one_clock(tmp_path):
    """Two recordings of one start of a host differ by when each read the wall clock: a step in between is known."""
    client, gpu = HostAtWork("client"), HostAtWork("gpu", 3600.0)
    gpu.boot_id = client.boot_id
    power_at(gpu, TIMES_S)
    trace = merged(tmp_path, client, gpu)
    assert np.abs(errors_s(trace, TIMES_S, client)).max() == 0
    assert (trace.provenance.hosts[1].clock_source, trace.provenance.hosts[1].clock_error_ns) == (
        "same_clock",
        0,
    )


def test_what_the_user_gives_counts(tmp_path):
    client, gpu = HostAtWork("client"), HostAtWork("gpu", 3.0)
    power_at(gpu, TIMES_S)
    client.asks(gpu, 10, 0.001, 0.001)
    trace = merged(tmp_path, client, gpu, gpu=3.25)
    assert errors_s(trace, TIMES_S, client) == pytest.approx(-0.25)
    assert (trace.provenance.hosts[1].clock_source, trace.provenance.hosts[1].clock_error_ns) == (
        "given",
        None,
    )


def test_clocks_that_follow_the_network(tmp_path):
    """Each wall clock is off by less than its kernel says; the recordings' clocks drift from them."""
    client, gpu = HostAtWork("client", 0.02, 10.0), HostAtWork("gpu", 3.0, 50.0)
    power_at(gpu, TIMES_S)
    for true_s in np.arange(1, HOURS * 3600, 60):
        client.reads_its_clock(true_s, 0.004, 0.006)
        gpu.reads_its_clock(true_s, -0.003, 0.005)
    trace = merged(tmp_path, client, gpu)
    other = trace.provenance.hosts[1]
    worst = np.abs(errors_s(trace, TIMES_S, client)).max()
    assert other.clock_source == "wall_clock"
    assert worst <= other.clock_error_ns / 1e9 <= 0.0125
    assert worst == pytest.approx(0.007, abs=0.001)


def test_nothing_known_is_said_to_be_assumed(tmp_path):
    client, gpu = HostAtWork("client"), HostAtWork("gpu", 3.0)
    power_at(gpu, TIMES_S)
    for true_s in (1, 100):
        client.reads_its_clock(true_s)
        gpu.reads_its_clock(true_s)
    trace = merged(tmp_path, client, gpu)
    assert (trace.provenance.hosts[1].clock_source, trace.provenance.hosts[1].clock_error_ns) == (
        "assumed",
        None,
    )
    assert errors_s(trace, TIMES_S, client) == pytest.approx(3.0)


def test_a_laptop_that_slept(tmp_path):
    """Its recording stood still for half an hour, twice; the other host's went on."""
    laptop = HostAtWork("laptop", 0.0, 0.0, sleeps=((1000, 1800), (4000, 1800)))
    gpu = HostAtWork("gpu", 3.0, 50.0)
    rng = np.random.default_rng(1)
    power_at(gpu, TIMES_S)
    awake = [
        true_s
        for true_s in np.arange(1, HOURS * 3600, 10)
        if not (1000 <= true_s < 2800 or 4000 <= true_s < 5800)
    ]
    for true_s in awake:
        laptop.reads_its_clock(true_s)
        laptop.asks(gpu, true_s + 0.1, *delays(rng))
        laptop.calls(true_s + 1, true_s + 2, f"id{true_s}")
    trace = merged(tmp_path, laptop, gpu)
    true_clock = HostAtWork("laptop")
    assert np.abs(errors_s(trace, TIMES_S, true_clock)).max() <= 0.005
    starts = trace.rows(Kind.LLM_CALL, ["start_ns"])["start_ns"].to_numpy()
    assert starts == pytest.approx([true_clock.ns(true_s + 1) for true_s in awake], abs=1e6)
    assert trace.provenance.hosts[0].slept_ns == pytest.approx(3600e9, rel=1e-6)


def test_a_step_of_the_wall_clock_moves_nothing(tmp_path):
    """The recording's clock is monotonic; only what the wall clock is said to be changes."""
    client, gpu = HostAtWork("client"), HostAtWork("gpu", 3.0, 50.0)
    rng = np.random.default_rng(2)
    power_at(gpu, TIMES_S)
    for true_s in np.arange(1, HOURS * 3600, 60):
        gpu.reads_its_clock(true_s, 2.0 if true_s < 3000 else 0.0)
        client.reads_its_clock(true_s, 0.0)
        client.asks(gpu, true_s, *delays(rng))
    trace = merged(tmp_path, client, gpu)
    assert np.abs(errors_s(trace, TIMES_S, client)).max() <= 0.005


def test_rows_keep_who_they_belong_to(tmp_path):
    one, two, three = HostAtWork("one"), HostAtWork("two", 1.0), HostAtWork("three", 2.0)
    for host in (one, two, three):
        for number in range(3):
            host.calls(10.0 * number, 10.0 * number + 5, f"{host.name} {number}")
            host.rows[Kind.LLM_CALL][-1]["parents"] = [1] if number == 1 else [] if number == 0 else None
        power_at(host, [1.0, 2.0])
    trace = merged(tmp_path, one, two, three, two=1.0, three=2.0)
    calls = trace.rows(Kind.LLM_CALL).to_pylist()
    ids = [row["row_id"] for kind in Kind for row in trace.rows(kind).to_pylist()]
    assert len(ids) == len(set(ids)) == 3 * (1 + 3 + 2)
    sessions = {row["row_id"] for row in trace.rows(Kind.SESSION).to_pylist()}
    for host in ("one", "two", "three"):
        own = [row for row in calls if row["response_id"].startswith(host)]
        assert len({row["session_id"] for row in own} & sessions) == 1
        assert [row["parents"] for row in own] == [[], [own[0]["row_id"]], None]
        assert [row["start_ns"] for row in own] == [one.ns(10.0 * number) for number in range(3)]
        assert [row["end_ns"] for row in own] == [one.ns(10.0 * number + 5) for number in range(3)]
    assert [row["host"] for row in trace.rows(Kind.POWER_SAMPLE).to_pylist()] == ["one"] * 2 + ["two"] * 2 + [
        "three"
    ] * 2
    assert [host.name for host in trace.provenance.hosts] == ["one", "two", "three"]


def test_merging_a_merged_trace(tmp_path):
    """The second merge keeps what the first found out about its hosts."""
    one, two, three = HostAtWork("one"), HostAtWork("two", 1.0), HostAtWork("three", 2.0)
    for host in (one, two, three):
        power_at(host, [1.0, 2.0])
    merged(tmp_path, one, two, two=1.0).path.rename(tmp_path / "first.parquet")
    third = three.write(tmp_path / "three.parquet")
    options = {"software_version": "0", "force": True}
    merge_traces(
        [tmp_path / "first.parquet", third], tmp_path / "all.parquet", offsets_s={"three": 2.0}, **options
    )
    trace = Trace.open(tmp_path / "all.parquet")
    assert [(host.name, host.clock_source) for host in trace.provenance.hosts] == [
        ("one", "reference"), ("two", "given"), ("three", "given"),
    ]  # fmt: skip
    assert errors_s(trace, [1, 1, 1, 2, 2, 2], one) == pytest.approx(0)


def test_what_cannot_be_merged(tmp_path):
    one, two = HostAtWork("one"), HostAtWork("two")
    power_at(one, [1.0])
    power_at(two, [1.0])
    paths = [one.write(tmp_path / "one.parquet"), two.write(tmp_path / "two.parquet")]
    options = {"software_version": "0", "force": True}
    with pytest.raises(MergeRefused, match="given twice"):
        merge_traces([paths[0], paths[0]], tmp_path / "o", offsets_s={}, **options)
    for name in ("one", "three"):
        with pytest.raises(MergeRefused, match="none of the traces, or the first"):
            merge_traces(paths, tmp_path / "o", offsets_s={name: 1.0}, **options)
    assert not (tmp_path / "o").exists()
