"""A rank without PyTorch, as a process: `python -m tests.unit.measuring.fake_rank`.

Its place says how it is: `slow=2` takes twice as long, `rooms=3` has room for so many blocks, and `WHAT@COMMAND` does
that at the first such command (`@COMMAND+2`: at the third): `dies`, `exits`, `exits-late`, `hangs`, `fails`, `refuses`.
"""

import os
import signal
import sys
import time

from tracekit.errors import MeasuringRefused
from tracekit.measuring.device import PointFailed
from tracekit.measuring.point import Point
from tracekit.measuring.rank import main
from tracekit.measuring.shape import ModelShape


class FakeRank:
    def __init__(self, command):
        words = dict(word.partition("=")[::2] for word in command["where"].split() if "=" in word)
        self.slow, self.rooms = float(words.get("slow", 1)), int(words.get("rooms", 8))
        self.name = words.get("name", "NVIDIA H100 80GB HBM3")
        self.planned = [word for word in command["where"].split() if "@" in word]
        self.shape = ModelShape.from_json(command["shape"])
        self.seen = {}
        print("a library's chatter, on standard output", flush=True)
        self.meet("start")

    def meet(self, what):
        """What is planned for this command happens."""
        count = self.seen[what] = self.seen.get(what, -1) + 1
        for plan in self.planned:
            happening, _, when = plan.partition("@")
            name, _, after = when.partition("+")
            if name == what and int(after or 0) == count:
                getattr(self, happening.replace("-", "_"))()

    def dies(self):
        print("CUDA error: the fake has had enough", file=sys.stderr, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)

    def exits(self):
        os._exit(7)

    def exits_late(self):
        time.sleep(0.1)
        os._exit(7)

    def hangs(self):
        print("hangs", file=sys.stderr, flush=True)
        time.sleep(600)

    def fails(self):
        raise PointFailed("out of memory")

    def refuses(self):
        raise MeasuringRefused.no_device("cuda:9", "it is not there")

    def about(self):
        shape = self.shape
        facts = {
            "device": self.name, "torch": "0.0", "model": shape.name, "dtype": shape.dtype, "tp": str(shape.tp),
            "collectives": "fake", "pid": str(os.getpid()), "experts": str(list(shape.own_experts)),
        }  # fmt: skip
        return {"facts": facts, "launches": ("graph", "plain"), "uuid": f"GPU-{shape.rank}"}

    def room(self, point):
        assert isinstance(point, Point)
        self.meet("room")
        return self.rooms

    def work(self, point, blocks):
        self.meet("work")
        return point, blocks

    def launched(self, work, launch):
        self.meet("launch")
        self.meet(launch)
        return FakePrepared(self, *work)

    def close(self):
        pass


class FakePrepared:
    def __init__(self, rank, point, blocks):
        self.rank, self.each_s = rank, rank.slow * 1e-3 * point.tokens * blocks

    def run(self, repetitions):
        self.rank.meet("run")
        return repetitions * self.each_s

    def close(self):
        self.rank.meet("drop")


if __name__ == "__main__":
    main(FakeRank)
