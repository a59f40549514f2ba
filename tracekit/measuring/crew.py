"""The processes of a tensor-parallel group, seen by the one that measures: all are asked, and all answer, or none.

Ranks wait for each other inside their work. One that dies or hangs would leave the others waiting, so it ends them all.
"""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from tracekit.measuring.device import DeviceLost, PointFailed
from tracekit.measuring.rank import MEETING

COMMAND = (sys.executable, "-P", "-m", "tracekit.measuring.torch_rank")
GRACE_S = 15.0
"""For the other ranks, once one has failed where they meet."""
END_S = 5.0
Answer = dict[str, Any]


class Crew:
    """So many processes, started; each has files of its own in a folder that goes with them.

    Parameters
    ----------
    ranks : how many.
    command : that starts one.
    environment : added to this process's.
    """

    def __init__(
        self, ranks: int, command: Sequence[str] = COMMAND, environment: Mapping[str, str] | None = None
    ) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="tracekit-ranks-")
        self.folder = Path(self._folder.name)
        self._answers: queue.Queue[tuple[int, Answer | None]] = queue.Queue()
        self._number = 0
        self._processes: list[subprocess.Popen[str]] = []
        self._listeners: list[threading.Thread] = []
        try:
            for rank in range(ranks):
                self._start(rank, command, {**os.environ, **(environment or {})})
        except BaseException:
            self.kill()
            raise

    def _start(self, rank: int, command: Sequence[str], environment: Mapping[str, str]) -> None:
        with self._words_of(rank).open("wb") as words:
            process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=words,
                text=True,
                encoding="utf-8",
                env=dict(environment),
                start_new_session=True,  # Ctrl-C is for the one that measures
            )
        self._processes.append(process)
        assert process.stdout is not None
        listener = threading.Thread(target=self._listen, args=(rank, process.stdout), daemon=True)
        self._listeners.append(listener)
        listener.start()

    def _listen(self, rank: int, lines: IO[str]) -> None:
        with lines:
            for line in lines:
                try:
                    self._answers.put((rank, json.loads(line)))
                except ValueError:  # the half of an answer whose rank was killed
                    break
        self._answers.put((rank, None))

    @property
    def is_alive(self) -> bool:
        """Whether it can be asked."""
        return bool(self._processes)

    @property
    def pids(self) -> list[int]:
        """Of its processes."""
        return [process.pid for process in self._processes]

    def ask(
        self, do: str, patience_s: float, each: Sequence[Mapping[str, Any]] = (), **more: Any
    ) -> list[Answer]:
        """Every rank's answer, by rank.

        Parameters
        ----------
        do : the command's name.
        patience_s : how long answers may take.
        each : further words for each rank; `more` are for all.

        Raises
        ------
        PointFailed : a rank cannot. Where ranks meet in the command, the crew has ended.
        DeviceLost : a rank died, or did not answer in time; the crew has ended.
        """
        self._number += 1
        try:
            for rank, process in enumerate(self._processes):
                own = each[rank] if each else {}
                self._tell(rank, process, {"id": self._number, "do": do, **more, **own})
            return self._collected(do, patience_s)
        except PointFailed:
            if do in MEETING:
                self.kill()
            raise
        except BaseException:  # Ctrl-C too: what they are at is of no use any more
            self.kill()
            raise

    def _tell(self, rank: int, process: subprocess.Popen[str], command: Answer) -> None:
        assert process.stdin is not None
        try:
            process.stdin.write(json.dumps(command) + "\n")
            process.stdin.flush()
        except OSError as error:
            raise DeviceLost(self._death(rank)) from error

    def _collected(self, do: str, patience_s: float) -> list[Answer]:
        answers: dict[int, Answer] = {}
        failed: list[str] = []
        end_s = time.monotonic() + patience_s
        while len(answers) < len(self._processes):
            try:
                rank, answer = self._answers.get(timeout=max(0.0, end_s - time.monotonic()))
            except queue.Empty:
                break
            if answer is None:  # even if another has failed: that is what a peer's death looks like to it
                raise DeviceLost(self._death(rank))
            if answer.get("id") != self._number:
                continue
            answers[rank] = answer
            if "failed" in answer:
                failed.append(f"GPU {rank} of {len(self._processes)}: {answer['failed']}")
                if do in MEETING:
                    end_s = min(end_s, time.monotonic() + GRACE_S)
        if failed:
            raise PointFailed(failed[0])
        missing = [str(rank) for rank in range(len(self._processes)) if rank not in answers]
        if missing:
            raise DeviceLost(
                f"rank {', '.join(missing)} of {len(self._processes)} did not answer for {patience_s:.0f} s"
            )
        return [answers[rank] for rank in range(len(self._processes))]

    def _death(self, rank: int) -> str:
        """How a rank ended, with the last that it said."""
        try:
            code = self._processes[rank].wait(END_S)
        except subprocess.TimeoutExpired:
            return f"rank {rank} of {len(self._processes)} answers no more"
        how = f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"
        lines = self._words_of(rank).read_text("utf-8", "replace").strip().splitlines()
        return f"rank {rank} of {len(self._processes)} {how}" + (f": {lines[-1][:300]}" if lines else "")

    def _words_of(self, rank: int) -> Path:
        return self.folder / f"rank-{rank}.err"

    def close(self) -> None:
        """End the processes as they like, then as they do not; harmless if repeated."""
        for process in self._processes:
            _hang_up(process)
        end_s = time.monotonic() + END_S
        try:
            for process in self._processes:
                process.wait(max(0.0, end_s - time.monotonic()))
        except subprocess.TimeoutExpired:
            pass
        finally:
            self.kill()

    def kill(self) -> None:
        """End the processes at once, and wait until they have."""
        for process in self._processes:
            process.kill()
        for process in self._processes:
            _hang_up(process)
            try:
                process.wait(END_S)
            except subprocess.TimeoutExpired:  # held by a driver: the system ends it when that lets go
                continue
        for listener in self._listeners:
            listener.join(END_S)
        self._processes, self._listeners = [], []
        self._folder.cleanup()


def _hang_up(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    with suppress(OSError):  # what it did not read is lost with it
        process.stdin.close()
