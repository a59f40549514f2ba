"""A trace as an argument: a path, or a URL of a file elsewhere."""

from __future__ import annotations

from typing import Any

import click
from click.shell_completion import CompletionItem

from tracekit.location import Location, location_of


class TraceFile(click.ParamType[Location]):
    """`run.parquet`, `s3://bucket/run.parquet`."""

    name = "path"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Location:
        """The path or the URL; whether it is there is told when it is opened."""
        return location_of(value) if isinstance(value, str) else value

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Files, as the shell completes them."""
        return [CompletionItem(incomplete, type="file")]
