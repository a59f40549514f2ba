"""What a source of power is to the sampler, whoever made the hardware."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

Values = dict[str, Any]
TellFault = Callable[[str, str], None]
"""Called with a device's label and what is wrong with it; each pair is told once."""


class SourceMissing(Exception):
    """The host does not have such devices, or their library does not work; the text is the reason's code."""


class Device(Protocol):
    """One GPU or CPU package. No method raises; a value that cannot be read is None, its reason beside it."""

    @property
    def id(self) -> str:
        """Unique on this host, such as gpu0."""

    @property
    def label(self) -> str:
        """For people, such as GPU 0."""

    def identity(self) -> Values:
        """The keys of a `device` record that are known without asking the driver, which may hang."""

    def facts(self) -> Values:
        """The keys of a `device` record: what stays the same over all samples."""

    def sample(self, *, everything: bool) -> Values | None:
        """The keys of a `power` record: joules and watts, and `everything` else if asked for.

        None if the device is not to be asked now, since it was lost a moment ago.
        """

    def peek(self) -> tuple[float | None, float | None]:
        """Energy counter and power alone, for finding out how often they are renewed."""


class Source(Protocol):
    """One interface to devices."""

    @property
    def name(self) -> str:
        """For people, such as NVML."""

    @property
    def has_gpus(self) -> bool:
        """Whether its devices are GPUs, whose absence is told."""

    def open(self, tell: TellFault) -> Sequence[Device]:
        """The devices at hand, at least one.

        Raises
        ------
        SourceMissing : there is none, or their library does not work.
        """
