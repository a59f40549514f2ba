"""The measured agent: calls and streams by the openai client, and what they cost this process.

``python caller.py BASE_URL CALLS STREAMS CHUNKS [--otel] [--gap-ms N]`` prints one JSON object: CPU ms a call, CPU ms a
stream, both of this process alone and after a warm-up, and its resident memory along the way. It runs in the
environment of the peer, so it imports nothing of tracekit.
"""

from __future__ import annotations

import argparse
import json
import resource
import time

MESSAGES = [{"role": "system", "content": "Be brief. " * 50}, {"role": "user", "content": "Hello. " * 100}]


def _instrument() -> None:
    """The peer, exporting spans to memory: no collector's cost is counted."""
    from opentelemetry import trace  # noqa: PLC0415
    from opentelemetry.instrumentation.genai.openai import OpenAIInstrumentor  # noqa: PLC0415
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult  # noqa: PLC0415

    class Nowhere(SpanExporter):
        def export(self, spans):
            return SpanExportResult.SUCCESS

    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(Nowhere()))
    trace.set_tracer_provider(provider)
    OpenAIInstrumentor().instrument()


def _resident_mb() -> float:
    with open("/proc/self/statm") as stream:
        return int(stream.read().split()[1]) * resource.getpagesize() / 1e6


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("base_url")
    parser.add_argument("calls", type=int)
    parser.add_argument("streams", type=int)
    parser.add_argument("chunks", type=int)
    parser.add_argument("--gap-ms", type=int, default=0)
    parser.add_argument("--otel", action="store_true")
    options = parser.parse_args()
    if options.otel:
        _instrument()
    import openai  # noqa: PLC0415

    client = openai.OpenAI(base_url=options.base_url, api_key="none", max_retries=0)

    def call() -> None:
        client.chat.completions.create(model="call", messages=MESSAGES)

    def stream(number: int) -> None:
        model = f"{number}-{options.chunks}-{options.gap_ms}"
        for _chunk in client.chat.completions.create(model=model, messages=MESSAGES, stream=True):
            pass

    resident_mb = []
    call()
    call()
    began_s = time.process_time()
    for number in range(options.calls):
        call()
        if number % max(1, options.calls // 10) == 0:
            resident_mb.append(round(_resident_mb(), 1))
    call_s = time.process_time() - began_s
    if options.streams:
        stream(-1)
    began_s = time.process_time()
    for number in range(options.streams):
        stream(number)
    stream_s = time.process_time() - began_s
    told = {
        "call_ms": 1e3 * call_s / max(1, options.calls),
        "stream_ms": 1e3 * stream_s / max(1, options.streams),
        "resident_mb": [*resident_mb, round(_resident_mb(), 1)],
        "openai": openai.__version__,
    }
    print(json.dumps(told))


if __name__ == "__main__":
    main()
