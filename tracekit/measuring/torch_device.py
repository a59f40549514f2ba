"""A device of PyTorch: a CUDA GPU, or the processor."""

from __future__ import annotations

import math
import platform
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from tracekit.errors import MeasuringRefused
from tracekit.measuring.collective import Alone, Collective
from tracekit.measuring.device import PointFailed, Prepared
from tracekit.measuring.point import Point, work_of
from tracekit.measuring.shape import BlockKind, ModelShape
from tracekit.measuring.torch_block import EPSILON, Block, StepState

DTYPES = {"bf16": "bfloat16", "fp16": "float16", "fp32": "float32"}
LAST_LEVEL_CACHE_BYTES = 32 * 2**20
"""Of a processor, taken where nobody tells."""
CACHES_OF_WEIGHTS = 4
"""Blocks hold so many times what the cache takes, so that none finds its weights there; engines' never do."""
FEWEST_BLOCKS, MOST_BLOCKS = 2, 8
MEMORY_SHARE = 0.9
WARM_UPS = 3
SEED = 20260


def import_torch() -> Any:
    """The module. Raises MeasuringRefused without it."""
    try:
        import torch  # noqa: PLC0415  (optional, and 2 s to import)
    except ImportError as error:
        raise MeasuringRefused.no_torch(str(error)) from error
    return torch


def gpu_count() -> int:
    """CUDA devices that PyTorch can use."""
    torch = import_torch()
    return int(torch.cuda.device_count()) if torch.cuda.is_available() else 0


class Pass(NamedTuple):
    """What one repetition runs, and through how many blocks."""

    run: Callable[[], Any]
    blocks: int


class TorchDevice:
    """One device with a model's blocks.

    Parameters
    ----------
    where : cpu, cuda or cuda:NUMBER.
    shape : of the model, or of this device's part of it.
    join : makes this device a rank of a group that shares layers, from the module and the device.

    Raises
    ------
    MeasuringRefused : no PyTorch, no such device.
    """

    def __init__(
        self,
        where: str,
        shape: ModelShape,
        join: Callable[[Any, Any], Collective] = lambda torch, device: Alone(),
    ) -> None:
        self._torch = torch = import_torch()
        self._shape = shape
        try:
            self.device = torch.device(where)
            if self.device.type not in ("cpu", "cuda"):
                raise MeasuringRefused.no_device(where, "it is of another kind")
            if self.device.type == "cuda":
                if (self.device.index or 0) >= gpu_count():
                    raise MeasuringRefused.no_device(where, f"PyTorch sees {gpu_count()} GPUs")
                self.device = torch.device("cuda", self.device.index or 0)
                torch.cuda.set_device(self.device)
                self._properties = torch.cuda.get_device_properties(self.device)
            self.collective = join(torch, self.device)
        except (RuntimeError, AssertionError) as error:
            raise MeasuringRefused.no_device(where, _first_line(error)) from error
        self._place = {"device": self.device, "dtype": getattr(torch, DTYPES[shape.dtype])}
        self._built: tuple[str, list[Block]] = ("", [])

    @property
    def is_cuda(self) -> bool:
        return bool(self.device.type == "cuda")

    @property
    def uuid(self) -> str | None:
        """The driver's id of a GPU, None for the processor."""
        found = getattr(self._properties, "uuid", None) if self.is_cuda else None
        return None if found is None else f"GPU-{str(found).removeprefix('GPU-')}"

    @property
    def launches(self) -> tuple[str, ...]:
        return ("graph", "plain") if self.is_cuda else ("plain",)

    def facts(self) -> Mapping[str, str]:
        torch = self._torch
        return {
            "device": str(self._properties.name) if self.is_cuda else _processor(),
            "torch": str(torch.__version__),
            "cuda": str(torch.version.cuda or "") if self.is_cuda else "",
            "threads": "" if self.is_cuda else str(torch.get_num_threads()),
            "dtype": self._shape.dtype,
            "model": self._shape.name,
            "tp": str(self._shape.tp),
        }

    def prepare(self, point: Point, launch: str) -> Prepared:
        return self.launched(self.work(point, self.room(point)), launch)

    def room(self, point: Point) -> int:
        """Blocks that have room for the point; 1 for the head. Raises PointFailed for none."""
        with self._failures(), self._torch.inference_mode():
            if point.phase == "head":
                return 1
            return self._fitting(point, len(self._blocks(self._shape.kind(point.kind))))

    def work(self, point: Point, blocks: int) -> Pass:
        """The point over so many blocks, with its memory. Raises PointFailed."""
        with self._failures(), self._torch.inference_mode():
            # all ranks of a group have the same hidden states, words and experts to go to
            self._torch.manual_seed(SEED)
            if point.phase == "head":
                return Pass(self._head(point), 1)
            kind = self._shape.kind(point.kind)
            return Pass(self._step(kind, point, self._blocks(kind)[:blocks]), blocks)

    def launched(self, work: Pass, launch: str) -> Prepared:
        """The work, ready to run that way; here ranks of a group meet. Raises PointFailed."""
        with self._failures(), self._torch.inference_mode():
            return _Repeated(self, work, launch)

    def _blocks(self, kind: BlockKind) -> list[Block]:
        """Of one kind at a time; enough of them that weights come from memory."""
        if self._built[0] != kind.name:
            self._built = ("", [])
            self.give_back()
            cache = getattr(self._properties, "L2_cache_size", 0) if self.is_cuda else LAST_LEVEL_CACHE_BYTES
            each = self._shape.block_bytes(kind)
            count = math.ceil(CACHES_OF_WEIGHTS * cache / each)
            count = min(max(count, FEWEST_BLOCKS), MOST_BLOCKS, math.ceil(kind.layers))
            count = min(count, int(0.5 * MEMORY_SHARE * self.free_bytes() // each))
            if count < 1:
                raise PointFailed(
                    f"a block takes {each / 1e9:.3g} GB, {self.free_bytes() / 1e9:.3g} GB are free"
                )
            self._torch.manual_seed(SEED + 1 + self._shape.rank)
            reduce = self.collective.sum
            made = [Block(self._torch, self._shape, kind, self._place, reduce) for _ in range(count)]
            self._built = (kind.name, made)
        return self._built[1]

    def _fitting(self, point: Point, count: int) -> int:
        """How many blocks have room for their KV memory."""
        held = work_of(point, self._shape).held_bytes
        free = MEMORY_SHARE * self.free_bytes()
        if held > free:
            raise PointFailed(f"out of memory: it takes {held / 1e9:.3g} GB, {free / 1e9:.3g} GB are free")
        return max(1, min(count, int(free // held)))

    def _step(self, kind: BlockKind, point: Point, blocks: list[Block]) -> Callable[[], Any]:
        torch, shape, place = self._torch, self._shape, self._place
        state = StepState(torch, shape, kind, point, place)
        hidden = torch.randn(point.tokens, shape.hidden, **place)
        sequences = point.batch if point.phase == "decode" else 1
        pattern = torch.randn(shape.kv_heads, state.kept_tokens, shape.head_dim, **place)
        memory = [
            [pattern.expand(sequences, *pattern.shape).contiguous() for _ in range(2)] for _block in blocks
        ]

        def run() -> Any:
            result = hidden
            for block, (keys, values) in zip(blocks, memory, strict=True):
                result = block(result, keys, values, state)
            return result

        return run

    def _head(self, point: Point) -> Callable[[], Any]:
        torch, shape, place = self._torch, self._shape, self._place
        free = MEMORY_SHARE * self.free_bytes()
        if shape.head_bytes > free:
            raise PointFailed(
                f"out of memory: it takes {shape.head_bytes / 1e9:.3g} GB, {free / 1e9:.3g} GB are free"
            )
        words = torch.randint(shape.vocabulary * shape.tp, (point.batch,), device=self.device)
        table = torch.empty(shape.vocabulary, shape.hidden, **place).normal_(0.0, 0.02)
        matrix = torch.empty(shape.vocabulary, shape.hidden, **place).normal_(0.0, 0.02)
        norm = torch.ones(shape.hidden, **place)
        functional = torch.nn.functional

        def run() -> Any:
            hidden = functional.rms_norm(self._embedded(table, words), (shape.hidden,), norm, EPSILON)
            return self.collective.gather(hidden @ matrix.t())

        return run

    def _embedded(self, table: Any, words: Any) -> Any:
        """Each word's row of the table, wherever in the group it is."""
        shape = self._shape
        if shape.tp == 1:
            return table[words]
        own = words - shape.first_word
        elsewhere = (own < 0) | (own >= shape.vocabulary)
        rows = table[own.masked_fill(elsewhere, 0)].masked_fill(elsewhere[:, None], 0.0)
        return self.collective.sum(rows)

    def free_bytes(self) -> float:
        """Memory that tensors could still take; ranks on one processor have equal shares of it."""
        if self.is_cuda:
            torch = self._torch
            free, _total = torch.cuda.mem_get_info(self.device)
            return float(
                free + torch.cuda.memory_reserved(self.device) - torch.cuda.memory_allocated(self.device)
            )
        return _available_bytes() / self._shape.tp

    def give_back(self) -> None:
        """Return memory that nothing holds to the driver."""
        if self.is_cuda:
            self._torch.cuda.empty_cache()

    def close(self) -> None:
        self._built = ("", [])
        self.collective.close()

    def graph_of(self, run: Callable[[], Any]) -> Callable[[], Any]:
        """The same work as one CUDA graph."""
        torch = self._torch
        stream = torch.cuda.Stream(self.device)
        stream.wait_stream(torch.cuda.current_stream(self.device))
        with torch.cuda.stream(stream):
            for _ in range(WARM_UPS):
                run()
        torch.cuda.current_stream(self.device).wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        # NCCL has threads that ask for events meanwhile, which a capture of all threads would refuse
        mode = "global" if self._shape.tp == 1 else "thread_local"
        with torch.cuda.graph(graph, capture_error_mode=mode):
            run()
        replay: Callable[[], Any] = graph.replay
        return replay

    def timed(self, run: Callable[[], Any], repetitions: int) -> float:
        """Seconds that so many take: between two events on the GPU, or by the processor's clock."""
        with self._failures(), self._torch.inference_mode():
            self.collective.align()
            if not self.is_cuda:
                begun = time.perf_counter()
                for _ in range(repetitions):
                    run()
                return time.perf_counter() - begun
            first, last = (self._torch.cuda.Event(enable_timing=True) for _ in range(2))
            first.record()
            for _ in range(repetitions):
                run()
            last.record()
            last.synchronize()
            return float(first.elapsed_time(last)) / 1e3

    @contextmanager
    def _failures(self) -> Iterator[None]:
        try:
            yield
        except self._torch.OutOfMemoryError as error:
            self.give_back()
            raise PointFailed("out of memory") from error
        except (RuntimeError, NotImplementedError, ValueError) as error:
            raise PointFailed(_first_line(error)) from error


class _Repeated:
    """A point of a TorchDevice."""

    def __init__(self, device: TorchDevice, work: Pass, launch: str) -> None:
        self._device = device
        self.blocks = work.blocks
        self._run: Callable[[], Any] | None = device.graph_of(work.run) if launch == "graph" else work.run

    def run(self, repetitions: int) -> float:
        assert self._run is not None
        return self._device.timed(self._run, repetitions)

    def close(self) -> None:
        self._run = None
        self._device.give_back()


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:200]}" if lines else type(error).__name__


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.machine())


def _available_bytes() -> float:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        return next(float(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration):
        return 4e9
