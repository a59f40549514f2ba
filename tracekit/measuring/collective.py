"""What GPUs that share a layer tell each other: sums, parts beside each other, and when all are ready."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol


class Collective(Protocol):
    """Tensors of a group, one rank a process. Every rank makes the same calls in the same order."""

    @property
    def name(self) -> str:
        """Of the library that carries them; empty for one GPU alone."""

    def sum(self, tensor: Any) -> Any:
        """The sum over the group, which may overwrite the tensor."""

    def gather(self, tensor: Any) -> Any:
        """The columns of all ranks beside each other: (rows, columns) in, (rows, columns x ranks) out."""

    def align(self) -> None:
        """What is launched after this begins on all ranks at about the same time."""

    def close(self) -> None:
        """Leave the group."""


class Alone:
    """One GPU that has whole layers."""

    name = ""

    def sum(self, tensor: Any) -> Any:
        return tensor

    def gather(self, tensor: Any) -> Any:
        return tensor

    def align(self) -> None:
        pass

    def close(self) -> None:
        pass


class TorchCollective:
    """A rank of torch.distributed: NCCL among CUDA GPUs, gloo among processors.

    Parameters
    ----------
    torch : the module.
    device : of this rank.
    rank, ranks : this one, and how many.
    meeting : a file that does not exist yet, the same on all ranks.
    patience_s : after which a rank that waits for another gives up.

    Raises
    ------
    RuntimeError : the group does not come together.
    """

    def __init__(
        self, torch: Any, device: Any, rank: int, ranks: int, meeting: Path, patience_s: float
    ) -> None:
        from torch import distributed  # noqa: PLC0415  (torch is optional)

        self._torch, self._distributed, self._ranks = torch, distributed, ranks
        self._is_cuda = device.type == "cuda"
        backend = "nccl" if self._is_cuda else "gloo"
        distributed.init_process_group(
            backend,
            init_method=meeting.absolute().as_uri(),
            rank=rank,
            world_size=ranks,
            timeout=timedelta(seconds=patience_s),
        )
        version = ".".join(map(str, torch.cuda.nccl.version())) if self._is_cuda else ""
        self.name = f"{backend} {version}".strip()
        self._beacon = torch.ones(1, device=device)
        self.align()

    def sum(self, tensor: Any) -> Any:
        self._distributed.all_reduce(tensor)
        return tensor

    def gather(self, tensor: Any) -> Any:
        rows, columns = tensor.shape
        everyone = self._torch.empty((self._ranks * rows, columns), dtype=tensor.dtype, device=tensor.device)
        name = "all_gather_single"  # in place of all_gather_into_tensor from PyTorch 2.13 on
        gather = getattr(self._distributed, name, None) or self._distributed.all_gather_into_tensor
        gather(everyone, tensor.contiguous())
        return everyone.view(self._ranks, rows, columns).movedim(0, 1).reshape(rows, -1)

    def align(self) -> None:
        """On a GPU a small sum in its stream, which no rank leaves before all have come; else a barrier."""
        if self._is_cuda:
            self._distributed.all_reduce(self._beacon)
            self._beacon.fill_(1.0)
        else:
            self._distributed.barrier()

    def close(self) -> None:
        self._distributed.destroy_process_group()
