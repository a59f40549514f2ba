"""Errors as a user reads them: what, where, and what to do.

TracekitError (exit 2)
├── SpoolNotFound        no recording in that folder
├── TraceNotFound        no such file
├── TraceUnreadable      truncated, foreign, or a newer version
├── RemoteRefused        a URL that cannot be read: what is missing, or who says no
├── TraceEmpty           nothing in it that the command could use
├── SourceUnreadable     a file to import that is missing, damaged, empty or of another format
├── RowRefused           a bad row, with --strict
├── OutputRefused        exists already, or its folder cannot be written
├── UnknownName          not in the catalog, with the nearest names
├── RowsInvalid          measured rows that cannot be used
├── BarInvalid           a bar for errors that is none
├── CalibrationInvalid   a calibration file that cannot be used
├── MeasuringRefused     a model or device that cannot be measured here
├── CatalogInvalid       a catalog file of the user's that cannot be used
├── ModelConfigInvalid   a config.json that no model can be made of
├── ModelDoesNotFit      weights and cache exceed the GPU's memory
├── ScenarioInvalid      a fleet file or a setting that makes no sense
├── WhatIfInvalid        a what-if that cannot be read, or that cannot be
├── DocumentUnreadable   a file to compare that is no document or timeline
├── BudgetInvalid        a --fail-if that is none, or on a number that is unknown
├── ShapeInvalid         the shape of sessions that no session can have
├── ProfileInvalid       a daily profile that cannot be used
├── JournalRefused       what is kept of an unfinished command, in the way or not to be written
├── EngineUnusable       workers that are missing, lost, or would compute otherwise
├── SloInvalid           an objective that is none, or two that contradict each other
├── SizingRefused        a sizing that nothing can be said about
├── SizeBudgetInvalid    a budget for `size --fail-if` that is none
├── ForecastInvalid      a sizing report that a recording cannot be held against
├── ProxyMissing         --proxy always without the library that the proxy is made of
├── MergeRefused         traces that cannot be joined as asked
├── CompilerMissing      no C compiler for the fake GPU
└── LaunchFailed         the command to record could not be started (exit 125, 126 or 127)
"""

from tracekit.errors.calibration import CalibrationInvalid, MeasuringRefused
from tracekit.errors.catalog import CatalogInvalid, ModelConfigInvalid
from tracekit.errors.document import BudgetInvalid, DocumentUnreadable
from tracekit.errors.measured_rows import BarInvalid, RowsInvalid
from tracekit.errors.merging import MergeRefused, ServesInvalid
from tracekit.errors.message import TracekitError
from tracekit.errors.name import MANY, UnknownName
from tracekit.errors.output import JournalRefused, OutputRefused
from tracekit.errors.recording import PROXY_INSTALL, CompilerMissing, LaunchFailed, ProxyMissing
from tracekit.errors.remote import RemoteRefused
from tracekit.errors.scenario import ModelDoesNotFit, ScenarioInvalid, ShapeInvalid
from tracekit.errors.sizing import (
    ForecastInvalid,
    ProfileInvalid,
    SizeBudgetInvalid,
    SizingRefused,
    SloInvalid,
)
from tracekit.errors.source import RowRefused, SourceUnreadable
from tracekit.errors.trace import SpoolNotFound, TraceEmpty, TraceNotFound, TraceUnreadable
from tracekit.errors.what_if import SweepInvalid, WhatIfInvalid
from tracekit.errors.workers import EngineUnusable

__all__ = [
    "MANY",
    "PROXY_INSTALL",
    "BarInvalid",
    "BudgetInvalid",
    "CalibrationInvalid",
    "CatalogInvalid",
    "CompilerMissing",
    "DocumentUnreadable",
    "EngineUnusable",
    "ForecastInvalid",
    "JournalRefused",
    "LaunchFailed",
    "MeasuringRefused",
    "MergeRefused",
    "ModelConfigInvalid",
    "ModelDoesNotFit",
    "OutputRefused",
    "ProfileInvalid",
    "ProxyMissing",
    "RemoteRefused",
    "RowRefused",
    "RowsInvalid",
    "ScenarioInvalid",
    "ServesInvalid",
    "ShapeInvalid",
    "SizeBudgetInvalid",
    "SizingRefused",
    "SloInvalid",
    "SourceUnreadable",
    "SpoolNotFound",
    "SweepInvalid",
    "TraceEmpty",
    "TraceNotFound",
    "TraceUnreadable",
    "TracekitError",
    "UnknownName",
    "WhatIfInvalid",
]
