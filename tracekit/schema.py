"""Every column of a trace, declared once.

From this one list come the Arrow schema, the numpy types, the validation of a file and the reference page
(docs/reference/trace-file.md, generated). Types are named by the words in `ARROW_NAMES` so that importing
this module costs nothing; `tracekit.trace` turns them into Arrow.

A trace is one table: one row per event, `kind` says which. A column belongs to the kinds it names; for the
others it is null. Unknown is null, never 0.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import NamedTuple

FORMAT_VERSION = 1

ARROW_NAMES = ("bool", "int32", "int64", "uint64", "float32", "float64", "string", "category")


class Kind(StrEnum):
    """What a row is."""

    SESSION = "session"
    LLM_CALL = "llm_call"
    HTTP_ATTEMPT = "http_attempt"
    TOOL_SPAN = "tool_span"
    POWER_SAMPLE = "power_sample"
    ENGINE_SAMPLE = "engine_sample"
    MARK = "mark"


class EdgeSource(StrEnum):
    """The evidence that a step starts after its parents, best first."""

    EXPLICIT = "explicit"
    TOOL_ID = "tool_id"
    RESPONSE_ID = "response_id"
    PREFIX_CHAIN = "prefix_chain"
    TIMING = "timing"


class ToolSource(StrEnum):
    """The evidence for a tool span, best first."""

    FRAMEWORK = "framework"
    TOOL_ID = "tool_id"
    PREFIX_CHAIN = "prefix_chain"
    ADJACENCY = "adjacency"


class Status(StrEnum):
    """How an event ended; interrupted: its process died before the end."""

    OK = "ok"
    ERROR = "error"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"


class UsageSource(StrEnum):
    """Where token counts come from."""

    SERVER = "server"
    INJECTED = "injected"
    ESTIMATED = "estimated"
    MISSING = "missing"


class Column(NamedTuple):
    """One declared column.

    `type` is one of ARROW_NAMES, or ``list[...]`` of one; `unit` is empty where the value has none;
    `otel` is the OpenTelemetry GenAI attribute that holds the same fact, empty if there is none.
    """

    name: str
    type: str
    unit: str
    kinds: tuple[Kind, ...]
    nullable: bool
    otel: str
    doc: str


_ALL = tuple(Kind)
_STEP = (Kind.LLM_CALL, Kind.TOOL_SPAN)
_SPAN = (Kind.SESSION, Kind.LLM_CALL, Kind.HTTP_ATTEMPT, Kind.TOOL_SPAN)
_CALL = (Kind.LLM_CALL,)
_ATTEMPT = (Kind.HTTP_ATTEMPT,)
_WIRE = (Kind.LLM_CALL, Kind.HTTP_ATTEMPT)
_TOOL = (Kind.TOOL_SPAN,)
_SESSION = (Kind.SESSION,)
_POWER = (Kind.POWER_SAMPLE,)
_ENGINE = (Kind.ENGINE_SAMPLE,)
_MARK = (Kind.MARK,)


def _required(
    name: str, kind: str, kinds: tuple[Kind, ...], doc: str, unit: str = "", otel: str = ""
) -> Column:
    return Column(name, kind, unit, kinds, False, otel, doc)


def _optional(
    name: str, kind: str, kinds: tuple[Kind, ...], doc: str, unit: str = "", otel: str = ""
) -> Column:
    return Column(name, kind, unit, kinds, True, otel, doc)


COLUMNS: tuple[Column, ...] = (
    _required("kind", "category", _ALL, "What the row is."),
    _required("row_id", "int64", _ALL, "Unique in the file; other columns refer to rows by it."),
    _required("start_ns", "int64", _ALL, "Start, or the instant of a sample or mark (Unix epoch).", "ns"),
    _optional("end_ns", "int64", _SPAN, "End; null if interrupted, or if an imported source has none.", "ns"),
    _required("status", "category", _SPAN, "ok, error, cancelled (closed before its end) or interrupted (process died)."),
    _optional("error_type", "string", _SPAN, "Class of the exception, the server's error code, or the HTTP status.", otel="error.type"),
    _optional("host", "category", _ALL, "Host that produced the row."),
    _optional("pid", "int32", _ALL, "Process that produced the row."),
    _optional("thread_id", "int64", _STEP, "Thread that started the step."),
    _optional("task_name", "string", _STEP, "asyncio task that started the step."),
    # the session's graph
    _optional("session_id", "int64", (*_SPAN, Kind.MARK), "row_id of the session the row belongs to."),
    _optional("parents", "list[int64]", _STEP, "row_ids of the steps this one starts after; empty: starts with the session."),
    _optional("edge_source", "category", _STEP, "Evidence for the parents, best first: explicit, tool_id, response_id, prefix_chain, timing."),
    _optional("name", "string", (*_SESSION, *_TOOL, *_MARK), "Name of the session, tool or mark.", otel="gen_ai.tool.name"),
    _optional("origin", "category", _SESSION, "recorded, imported or published-shape."),
    _optional("session_source", "category", _SESSION, "Evidence for the session, best first: explicit (tracekit.session), otel (OpenTelemetry's conversation or trace), conversation (an id in the request), run (a framework's run of an agent), lineage (a conversation that begins anew) or task (a flow of control)."),
    _optional("conversation_id", "string", (*_SESSION, *_CALL), "The client's own conversation id.", otel="gen_ai.conversation.id"),
    _optional("agent_name", "string", _SESSION, "Name of the agent.", otel="gen_ai.agent.name"),
    _optional("score", "float64", _SESSION, "Quality score given by the user (`session.score`)."),
    # the LLM call
    _optional("api", "category", _CALL, "chat, completions, responses, embeddings or messages.", otel="openai.api.type"),
    _optional("server_host", "category", _WIRE, "Host the request went to.", otel="server.address"),
    _optional("server_port", "int32", _WIRE, "Port the request went to.", otel="server.port"),
    _optional("url_path", "category", _WIRE, "Path of the URL, without query."),
    _optional("model", "category", (*_CALL, *_ENGINE), "Model asked for; of an engine sample, the model served.", otel="gen_ai.request.model"),
    _optional("response_model", "category", _CALL, "Model that answered.", otel="gen_ai.response.model"),
    _optional("response_id", "string", _CALL, "The server's id of the response.", otel="gen_ai.response.id"),
    _optional("previous_response_id", "string", _CALL, "Response this request continues.", otel="gen_ai.request.previous_response.id"),
    _optional("stream", "bool", _CALL, "Whether the answer was streamed.", otel="gen_ai.request.stream"),
    _optional("max_tokens", "int64", _CALL, "Limit on output tokens asked for.", "tokens", "gen_ai.request.max_tokens"),
    _optional("temperature", "float64", _CALL, "Sampling temperature asked for.", otel="gen_ai.request.temperature"),
    _optional("choice_count", "int32", _CALL, "Answers asked for (n).", otel="gen_ai.request.choice.count"),
    _optional("tools_offered", "int32", _CALL, "Tool definitions in the request."),
    _optional("finish_reason", "category", _CALL, "Why generation ended (first choice).", otel="gen_ai.response.finish_reasons"),
    _optional("tool_call_ids", "list[string]", _CALL, "Ids of the tool calls in the answer."),
    _optional("tool_call_names", "list[string]", _CALL, "Names of the tools called, in the same order."),
    _optional("tool_result_ids", "list[string]", _CALL, "Ids of the tool results that are new in the request."),
    _optional("attempt_count", "int32", _CALL, "HTTP attempts made for the call."),
    _optional("first_byte_ns", "int64", _WIRE, "First byte of the answer's body.", "ns"),
    _optional("first_token_ns", "int64", _CALL, "First non-empty content, reasoning or tool delta.", "ns", "gen_ai.response.time_to_first_chunk"),
    _optional("last_token_ns", "int64", _CALL, "Last such delta.", "ns"),
    _optional("chunk_count", "int32", _CALL, "Chunks that carried output; not a token count."),
    _optional("chunk_gap_us", "list[float32]", _CALL, "Time between chunks that carried output.", "us"),
    _optional("clock_point", "category", _WIRE, "Where times were taken: app_read (when the app read the bytes) or proxy_arrival."),
    # tokens
    _optional("input_tokens", "int64", _CALL, "Prompt tokens, cached ones included.", "tokens", "gen_ai.usage.input_tokens"),
    _optional("cached_tokens", "int64", _CALL, "Prompt tokens the server read from its prefix cache.", "tokens", "gen_ai.usage.cache_read.input_tokens"),
    _optional("cache_write_tokens", "int64", _CALL, "Prompt tokens the server wrote to its cache.", "tokens", "gen_ai.usage.cache_write.input_tokens"),
    _optional("output_tokens", "int64", _CALL, "Generated tokens, reasoning included.", "tokens", "gen_ai.usage.output_tokens"),
    _optional("reasoning_tokens", "int64", _CALL, "Reasoning part of the generated tokens.", "tokens", "gen_ai.usage.reasoning.output_tokens"),
    _optional("usage_source", "category", _CALL, "server, injected (the server's, asked for by the recorder), estimated (by bytes) or missing."),
    _optional("engine_prefill_ms", "float64", _CALL, "Prefill time the engine itself reported (llama.cpp timings).", "ms"),
    _optional("engine_decode_ms", "float64", _CALL, "Decode time the engine itself reported.", "ms"),
    # prompt identity: no text, only keyed hashes and lengths
    _optional("prompt_bytes", "int64", _CALL, "Length of the canonical prompt (tools, system, messages).", "bytes"),
    _optional("instruction_bytes", "int64", _CALL, "Tool definitions, system and developer messages.", "bytes"),
    _optional("few_shot_bytes", "int64", _CALL, "Examples: assistant messages nobody saw being generated, and what precedes them.", "bytes"),
    _optional("user_bytes", "int64", _CALL, "User messages.", "bytes"),
    _optional("llm_history_bytes", "int64", _CALL, "Assistant messages generated earlier in this trace.", "bytes"),
    _optional("tool_history_bytes", "int64", _CALL, "Tool results.", "bytes"),
    _optional("output_bytes", "int64", _CALL, "Length of the generated text and tool arguments.", "bytes"),
    _optional("block_bytes", "int32", _CALL, "Bytes in a block of block_hashes.", "bytes"),
    _optional("block_hashes", "list[uint64]", _CALL, "Keyed hash of the canonical prompt up to the end of each block (chained), in its first MiB."),
    _optional("part_hashes", "list[uint64]", _CALL, "Keyed hash of the canonical prompt up to the end of each part (message)."),
    _optional("part_end_bytes", "list[int64]", _CALL, "Where each part ends in the canonical prompt.", "bytes"),
    _optional("part_roles", "list[string]", _CALL, "Role of each part."),
    _optional("prefix_call_id", "int64", _CALL, "row_id of the earlier call whose tokens (prompt, then output) share the longest prefix with the prompt."),
    _optional("prefix_tokens", "int64", _CALL, "Length of that shared prefix; beyond the earlier prompt it reaches into its output.", "tokens"),
    _optional("prefix_block_tokens", "int32", _CALL, "Granularity of prefix_tokens, where it comes from block hashes.", "tokens"),
    _optional("request_content", "string", _CALL, "Request body; only with --content."),
    _optional("response_content", "string", _CALL, "Answer; only with --content."),
    # HTTP attempts
    _optional("call_id", "int64", (*_ATTEMPT, *_TOOL), "row_id of the LLM call an attempt belongs to, or that asked for a tool."),
    _optional("attempt_index", "int32", _ATTEMPT, "0 for the first attempt of the call."),
    _optional("http_status", "int32", _ATTEMPT, "Status code.", otel="http.response.status_code"),
    _optional("transport", "category", _ATTEMPT, "httpx, httpx2, aiohttp, urllib3 (requests too), http.client (urllib too), websockets, proxy, ..."),
    _optional("request_bytes", "int64", _ATTEMPT, "Length of the request body.", "bytes"),
    _optional("response_bytes", "int64", _ATTEMPT, "Length of the answer as it came over the wire; with aiohttp, which decompresses on its own, after that.", "bytes"),
    # tools
    _optional("tool_call_id", "string", _TOOL, "Id the model gave the tool call.", otel="gen_ai.tool.call.id"),
    _optional("tool_source", "category", _TOOL, "Evidence for the span: framework, tool_id, prefix_chain or adjacency."),
    _optional("confidence", "float64", _TOOL, "How sure the span's ends are, 0 to 1: 1 for framework truth."),
    _optional("frame", "bool", _TOOL, "Whether LLM calls ran inside the span (a sub-agent): then it is a frame around steps, not a step."),
    _optional("inside_id", "int64", _TOOL, "row_id of the tool span that it ran inside of: then it is a part of that step, not a step."),
    # power samples
    _optional("device", "category", _POWER, "What is sampled: gpu (also where null), cpu (a package) or dram."),
    _optional("device_name", "category", _POWER, "The operating system's name of a device that is no GPU."),
    _optional("gpu_index", "int32", _POWER, "Index on the host."),
    _optional("gpu_uuid", "category", _POWER, "The driver's id of the device."),
    _optional("gpu_name", "category", _POWER, "The driver's name of the device."),
    _optional("power_w", "float64", _POWER, "Board power.", "W"),
    _optional("power_source", "category", _POWER, "What power_w is: instant, average, usage (instant or 1 s average by GPU) or module (CPU included)."),
    _optional("power_average_w", "float64", _POWER, "Power averaged over the driver's window (1 s).", "W"),
    _optional("energy_counter_j", "float64", _POWER, "The device's energy counter since the driver was loaded.", "J"),
    _optional("power_update_ms", "float64", _POWER, "Update period of power_w, as inferred from when it changed.", "ms"),
    _optional("energy_update_ms", "float64", _POWER, "Update period of energy_counter_j, likewise.", "ms"),
    _optional("energy_reason", "category", _POWER, "Why energy_counter_j is null."),
    _optional("utilization_gpu", "float64", _POWER, "Share of the last driver window with a kernel running, 0 to 1."),
    _optional("utilization_reason", "category", _POWER, "Why utilization is null where it was asked for."),
    _optional("utilization_memory", "float64", _POWER, "Share of the last driver window with memory traffic, 0 to 1."),
    _optional("memory_used_bytes", "int64", _POWER, "Device memory in use.", "bytes"),
    _optional("memory_total_bytes", "int64", _POWER, "Device memory.", "bytes"),
    _optional("sm_clock_mhz", "float64", _POWER, "Compute clock.", "MHz"),
    _optional("memory_clock_mhz", "float64", _POWER, "Memory clock.", "MHz"),
    _optional("temperature_c", "float64", _POWER, "Device temperature.", "degC"),
    _optional("throttle_reasons", "uint64", _POWER, "The driver's bit mask of reasons for a lower clock."),
    _optional("power_limit_w", "float64", _POWER, "Enforced power limit.", "W"),
    _optional("process_pids", "list[int64]", _POWER, "Processes with memory on the device; asked for once a second."),
    _optional("process_memory_bytes", "list[int64]", _POWER, "Device memory of each of these; null where the driver does not say.", "bytes"),
    _optional("mig", "bool", _POWER, "Whether the GPU is cut into instances; its power is then that of all of them."),
    _optional("reason", "category", _POWER, "Why power_w, else energy_counter_j, is null: the driver's error name, reads_zero or driver_hangs."),
    # samples of the server's own metrics
    _optional("engine", "category", _ENGINE, "vllm, sglang, llama.cpp or tgi."),
    _optional("endpoint", "category", _ENGINE, "Address the metrics were read from."),
    _optional("engine_rank", "int32", _ENGINE, "Which of several data-parallel engines behind the endpoint."),
    _optional("running_requests", "int64", _ENGINE, "Requests being decoded or prefilled."),
    _optional("waiting_requests", "int64", _ENGINE, "Requests waiting to be scheduled."),
    _optional("kv_fraction", "float64", _ENGINE, "Share of the KV cache in use, 0 to 1."),
    _optional("prefix_query_tokens_total", "float64", _ENGINE, "Counter: prompt tokens looked up in the prefix cache.", "tokens"),
    _optional("prefix_hit_tokens_total", "float64", _ENGINE, "Counter: prompt tokens found there.", "tokens"),
    _optional("preemptions_total", "float64", _ENGINE, "Counter: preemptions."),
    _optional("prompt_tokens_total", "float64", _ENGINE, "Counter: prompt tokens, cached ones included.", "tokens"),
    _optional("generation_tokens_total", "float64", _ENGINE, "Counter: tokens generated.", "tokens"),
    # marks
    _optional("value", "float64", _MARK, "Number given with the mark; true is 1."),
    _optional("text", "string", _MARK, "Text given with the mark."),
)  # fmt: skip

BY_NAME: dict[str, Column] = {column.name: column for column in COLUMNS}


def columns_of(kind: Kind) -> Iterator[Column]:
    """The columns that rows of `kind` may fill, in file order."""
    return (column for column in COLUMNS if kind in column.kinds)


TIMES = frozenset(column.name for column in COLUMNS if column.name.endswith("_ns"))
"""Columns that hold an instant on the host's clock."""
ROW_REFERENCES = frozenset({"row_id", "session_id", "parents", "call_id"})
"""Columns that hold row ids."""
