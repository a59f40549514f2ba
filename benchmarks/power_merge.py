"""Merges a spool of so many power samples and prints what that took, as JSON: a process of its own for its peak."""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path

from tracekit.assembly.merge import merge_spool


def main() -> None:
    folder, samples = Path(sys.argv[1]), int(sys.argv[2])
    write_spool(folder, samples)
    spool_bytes = sum(file.stat().st_size for file in folder.iterdir())
    before_mb, start_s = _peak_mb(), time.process_time()
    output = folder.with_suffix(".parquet")
    merge_spool(folder, output, software_version="0", exit_code=0, recovered=False, force=True)
    told = {"cpu_s": time.process_time() - start_s, "memory_mb": _peak_mb(), "imports_mb": before_mb}
    print(json.dumps(told | {"bytes": output.stat().st_size, "spool_bytes": spool_bytes}))


def write_spool(folder: Path, samples: int) -> None:
    folder.mkdir()
    (folder / "run.json").write_text(json.dumps({"host": "here", "command": ["tracekit", "sample"]}))
    with (folder / "1-1.jsonl").open("w") as stream:
        for index in range(samples):
            gpu, step = index % 8, index // 8
            record = {
                "t": "power", "ns": 1_700_000_000_000_000_000 + step * 50_000_000 + gpu * 40_000, "id": f"gpu{gpu}",
                "power_w": 100 + (step * 37 + gpu) % 500 + 0.5, "power_source": "instant",
                "power_average_w": 200.0 + gpu, "energy_counter_j": 5000.0 + step * 15.25,
            }  # fmt: skip
            if step % 2:
                record |= {
                    "utilization_gpu": 0.5, "utilization_memory": 0.25, "utilization_reason": None,
                    "memory_used_bytes": 10**10, "sm_clock_mhz": 1980, "memory_clock_mhz": 2619,
                    "temperature_c": 40 + step % 30, "throttle_reasons": 0, "power_limit_w": 700.0,
                }  # fmt: skip
            stream.write(json.dumps(record, separators=(",", ":")) + "\n")


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
