"""Power records become rows piece by piece: the same rows whether they fit into memory or not."""

import json
import tracemalloc

from tracekit.assembly import sample
from tracekit.assembly.merge import assemble, merge_spool
from tracekit.schema import Kind
from tracekit.spool import read_spool
from tracekit.trace import Trace

DEVICE = {"t": "device", "ns": 1, "id": "gpu0", "device": "gpu", "gpu_index": 0, "gpu_name": "H100"}


def write_spool(folder, count):
    folder.mkdir()
    (folder / "run.json").write_text(json.dumps({"host": "here", "command": ["agent"]}))
    with (folder / "9-1.jsonl").open("w") as stream:
        for record in (DEVICE, DEVICE | {"ns": 5, "energy_update_ms": 100.0}):
            stream.write(json.dumps(record) + "\n")
        for index in range(count):
            power = {
                "t": "power",
                "ns": 10 + index,
                "id": "gpu0",
                "power_w": 100.0 + index % 7,
                "energy_counter_j": 5.0,
            }
            stream.write(json.dumps(power) + "\n")
        stream.write(
            '{"t":"power","ns":99,"id":"other","power_w":"not a number","gpu_index":3}\n{"t":"power","n'
        )
    return folder


def merged(folder, output):
    options = {"software_version": "0", "exit_code": 0, "recovered": False, "force": True}
    provenance = merge_spool(folder, output, **options)
    return Trace.open(output), provenance


def test_rows_are_those_of_the_records(tmp_path, monkeypatch):
    monkeypatch.setattr(sample, "ROWS_AT_ONCE", 4)
    trace, provenance = merged(write_spool(tmp_path / "s", 10), tmp_path / "t.parquet")
    rows = trace.rows(Kind.POWER_SAMPLE).to_pylist()
    assert [row["start_ns"] for row in rows] == [*range(10, 20), 99]
    assert [row["row_id"] for row in rows] == list(range(11))
    assert {row["host"] for row in rows} == {"here"}
    *known, foreign = rows
    assert {(row["gpu_name"], row["gpu_index"], row["energy_update_ms"]) for row in known} == {
        ("H100", 0, 100.0)
    }
    assert [row["power_w"] for row in known] == [100.0 + index % 7 for index in range(10)]
    assert (foreign["power_w"], foreign["gpu_index"], foreign["gpu_name"]) == (None, 3, None)
    assert (provenance.not_seen.unfit_values, provenance.not_seen.unreadable_lines) == (1, 1)


def test_assembled_in_memory_they_are_the_same(tmp_path):
    folder = write_spool(tmp_path / "s", 50)
    trace, _provenance = merged(folder, tmp_path / "t.parquet")
    table = assemble(read_spool(folder), software_version="0").tables[Kind.POWER_SAMPLE]
    assert (
        trace.rows(Kind.POWER_SAMPLE).to_pylist()
        == table.select(trace.rows(Kind.POWER_SAMPLE).column_names).to_pylist()
    )


def test_memory_does_not_grow_with_their_number(tmp_path, monkeypatch):
    monkeypatch.setattr(sample, "ROWS_AT_ONCE", 500)

    def peak(name, number):
        folder = write_spool(tmp_path / name, number)
        tracemalloc.start()
        merged(folder, tmp_path / f"{name}.parquet")
        _now, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak("first", 2_000)  # what is imported and kept is not the rows'
    assert peak("many", 20_000) < 1.5 * peak("few", 2_000)
