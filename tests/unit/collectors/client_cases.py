"""What clients do: each case talks to the fake server in its own way and returns what its user would see.

The model a case asks for starts with the case's name, so that its records can be found.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import httpx2
import openai

MESSAGES: list[Any] = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi."}]
CASES: dict[str, Callable[[str], Any]] = {}
Case = Callable[..., Any]


def case(function: Case) -> Case:
    def run(base: str) -> Any:
        result = function(base, function.__name__)
        return asyncio.run(result) if asyncio.iscoroutine(result) else result

    CASES[function.__name__] = run
    return function


def client(base: str, **options: Any) -> openai.OpenAI:
    return openai.OpenAI(base_url=base, api_key="secret-key", **options)


def async_client(base: str, **options: Any) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=base, api_key="secret-key", **options)


def chat_body(model: str, **more: Any) -> dict[str, Any]:
    return {"model": model, "messages": MESSAGES, **more}


def outcome(action: Callable[[], Any]) -> Any:
    """What an action returns, or exactly what it raises."""
    try:
        return action()
    except Exception as error:
        return type(error), error.args, str(error), type(error.__cause__), str(error.__cause__)


@case
def chat_plain(base: str, model: str) -> Any:
    with client(base) as sdk:
        return sdk.chat.completions.create(model=model, messages=MESSAGES).model_dump()


@case
async def chat_async(base: str, model: str) -> Any:
    async with async_client(base) as sdk:
        return (await sdk.chat.completions.create(model=model, messages=MESSAGES)).model_dump()


@case
def chat_gzip(base: str, model: str) -> Any:
    with client(base) as sdk:
        return sdk.chat.completions.create(model=f"{model}-gzip", messages=MESSAGES).model_dump()


@case
def chat_tools(base: str, model: str) -> Any:
    tools: list[Any] = [
        {"type": "function", "function": {"name": "search", "parameters": {"type": "object"}}}
    ]
    with client(base) as sdk:
        return sdk.chat.completions.create(
            model=f"{model}-tools", messages=MESSAGES, tools=tools
        ).model_dump()


@case
def chat_two_choices(base: str, model: str) -> Any:
    with client(base) as sdk:
        return sdk.chat.completions.create(model=model, messages=MESSAGES, n=2).model_dump()


def _stream(base: str, model: str, **options: Any) -> Any:
    with client(base) as sdk:
        stream = sdk.chat.completions.create(model=model, messages=MESSAGES, stream=True, **options)
        return type(stream), [chunk.model_dump() for chunk in stream]


@case
def chat_stream(base: str, model: str) -> Any:
    return _stream(base, model)


@case
def chat_stream_usage(base: str, model: str) -> Any:
    return _stream(base, model, stream_options={"include_usage": True})


@case
def chat_stream_odd(base: str, model: str) -> Any:
    return _stream(base, f"{model}-crlf-comments-split-gzip-reasoning-usage-timings")


@case
def chat_stream_tools(base: str, model: str) -> Any:
    return _stream(base, f"{model}-tools-usage")


@case
def chat_stream_without_done(base: str, model: str) -> Any:
    return _stream(base, f"{model}-nodone")


@case
async def chat_stream_async(base: str, model: str) -> Any:
    async with async_client(base) as sdk:
        stream = await sdk.chat.completions.create(model=f"{model}-usage", messages=MESSAGES, stream=True)
        return type(stream), [chunk.model_dump() async for chunk in stream]


@case
def chat_stream_helper(base: str, model: str) -> Any:
    with client(base) as sdk, sdk.chat.completions.stream(model=model, messages=MESSAGES) as stream:
        kinds = [event.type for event in stream]
        return kinds, stream.get_final_completion().choices[0].message.content


@case
def chat_parse(base: str, model: str) -> Any:
    with client(base) as sdk:
        return sdk.chat.completions.parse(model=model, messages=MESSAGES).choices[0].message.content


@case
def chat_raw_response(base: str, model: str) -> Any:
    with client(base) as sdk:
        raw = sdk.chat.completions.with_raw_response.create(model=model, messages=MESSAGES)
        return (
            type(raw),
            raw.headers["content-type"],
            raw.status_code,
            raw.parse().model_dump(),
            raw.elapsed > raw.elapsed * 0,
        )


@case
def chat_raw_response_stream(base: str, model: str) -> Any:
    with client(base) as sdk:
        raw = sdk.chat.completions.with_raw_response.create(model=model, messages=MESSAGES, stream=True)
        return type(raw), [chunk.model_dump() for chunk in raw.parse()]


@case
def chat_streaming_response(base: str, model: str) -> Any:
    with client(base) as sdk:
        create = sdk.chat.completions.with_streaming_response.create
        with create(model=model, messages=MESSAGES) as response:
            return type(response), b"".join(response.iter_bytes())


@case
async def chat_streaming_response_async(base: str, model: str) -> Any:
    async with async_client(base) as sdk:
        create = sdk.chat.completions.with_streaming_response.create
        async with create(model=model, messages=MESSAGES, stream=True) as response:
            return [line async for line in response.iter_lines()]


@case
def chat_early_break(base: str, model: str) -> Any:
    with client(base) as sdk:
        stream = sdk.chat.completions.create(model=f"{model}-long", messages=MESSAGES, stream=True)
        for chunk in stream:
            if chunk.choices[0].delta.content:
                break
        stream.close()
        return stream.response.is_closed


@case
def chat_abandoned(base: str, model: str) -> Any:
    with client(base) as sdk:
        next(iter(sdk.chat.completions.create(model=f"{model}-long", messages=MESSAGES, stream=True)))
    return None


@case
async def chat_task_cancelled(base: str, model: str) -> Any:
    async with async_client(base, max_retries=0) as sdk:

        async def read() -> None:
            stream = await sdk.chat.completions.create(model=f"{model}-stall", messages=MESSAGES, stream=True)
            async for _ in stream:
                pass

        task = asyncio.create_task(read(), name="reader")
        await asyncio.sleep(0.3)
        task.cancel()
        try:
            await task
        except asyncio.CancelledError as error:
            return type(error), error.args
    return "not cancelled"


@case
async def chat_timeout(base: str, model: str) -> Any:
    async with async_client(base, max_retries=0, timeout=0.2) as sdk:
        stream = await sdk.chat.completions.create(model=f"{model}-stall", messages=MESSAGES, stream=True)
        try:
            return [chunk async for chunk in stream]
        except Exception as error:
            return type(error), error.args, str(error)


@case
def chat_retry(base: str, model: str) -> Any:
    with client(base) as sdk:
        return sdk.chat.completions.create(model=f"{model}-refuse", messages=MESSAGES).model_dump()


@case
def chat_refused(base: str, model: str) -> Any:
    with client(base, max_retries=0) as sdk:
        return outcome(lambda: sdk.chat.completions.create(model=f"{model}-refuse", messages=MESSAGES))


@case
def chat_server_error(base: str, model: str) -> Any:
    with client(base, max_retries=0) as sdk:
        return outcome(lambda: sdk.chat.completions.create(model=f"{model}-fail", messages=MESSAGES))


@case
def chat_reset(base: str, model: str) -> Any:
    with client(base, max_retries=0) as sdk:
        stream = sdk.chat.completions.create(model=f"{model}-reset", messages=MESSAGES, stream=True)
        return outcome(lambda: [chunk.model_dump() for chunk in stream])[0]


@case
def chat_nobody_there(base: str, model: str) -> Any:
    with client("http://127.0.0.1:9/v1", max_retries=0) as sdk:
        return outcome(lambda: sdk.chat.completions.create(model=model, messages=MESSAGES))


@case
def legacy_completions(base: str, model: str) -> Any:
    with client(base) as sdk:
        return sdk.completions.create(model=model, prompt="Once").model_dump()


@case
def embeddings(base: str, model: str) -> Any:
    with client(base) as sdk:
        return sdk.embeddings.create(model=model, input=["a", "b"], encoding_format="float").model_dump()


@case
def responses_plain(base: str, model: str) -> Any:
    with client(base) as sdk:
        return sdk.responses.create(model=model, input="Hi.", instructions="Be brief.").model_dump()


@case
def responses_stream(base: str, model: str) -> Any:
    with client(base) as sdk:
        stream = sdk.responses.create(model=model, input="Hi.", stream=True)
        return [event.model_dump() for event in stream]


@case
async def responses_stream_tools(base: str, model: str) -> Any:
    async with async_client(base) as sdk:
        stream = await sdk.responses.create(model=f"{model}-tools", input="Hi.", stream=True)
        return [event.model_dump() async for event in stream]


@case
def client_post(base: str, model: str) -> Any:
    with client(base) as sdk:
        return sdk.post("/chat/completions", cast_to=object, body=chat_body(model))


@case
def raw_httpx(base: str, model: str) -> Any:
    with httpx.Client() as http:
        response = http.post(f"{base}/chat/completions", json=chat_body(model))
        return response.json(), type(response), response.elapsed.total_seconds() > 0


@case
def raw_httpx2(base: str, model: str) -> Any:
    with httpx2.Client() as http:
        response = http.post(f"{base}/chat/completions", json=chat_body(model))
        return response.json(), type(response), response.elapsed.total_seconds() > 0


@case
def raw_httpx_stream(base: str, model: str) -> Any:
    with (
        httpx.Client() as http,
        http.stream("POST", f"{base}/chat/completions", json=chat_body(model, stream=True)) as r,
    ):
        lines = list(r.iter_lines())
        return lines, r.num_bytes_downloaded, r.is_closed, r.is_stream_consumed


@case
async def raw_httpx2_stream_async(base: str, model: str) -> Any:
    body = chat_body(f"{model}-gzip-split", stream=True)
    async with (
        httpx2.AsyncClient() as http,
        http.stream("POST", f"{base}/chat/completions", json=body) as response,
    ):
        raw = [piece async for piece in response.aiter_raw(chunk_size=7)]
        return b"".join(raw)[-8:], response.is_closed


@case
def raw_messages(base: str, model: str) -> Any:
    messages = [{"role": "user", "content": "Hi."}]
    with httpx.Client() as http:
        return http.post(
            f"{base}/messages", json={"model": model, "max_tokens": 9, "messages": messages}
        ).json()


@case
def raw_messages_stream(base: str, model: str) -> Any:
    body = {"model": model, "max_tokens": 9, "stream": True, "messages": [{"role": "user", "content": "Hi."}]}
    with httpx.Client() as http, http.stream("POST", f"{base}/messages", json=body) as response:
        return response.read()


@case
def not_an_llm_call(base: str, model: str) -> Any:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"{}"

    async def upload() -> int:
        async with httpx.AsyncClient() as http:
            return (await http.post(f"{base}/chat/completions", content=pieces())).status_code

    with httpx.Client() as http:
        listed = http.get(f"{base}/models").json()
        other = http.post(f"{base}/responses", json={"model": model}).status_code
    return listed, other, asyncio.run(upload())
