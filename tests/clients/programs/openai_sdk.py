"""The openai SDK, every way there is to call it; versions 1.40 to 3.x."""

import asyncio
import os
import pickle
import subprocess
import sys
import threading

import openai
from casebook import (
    CHAT_TOOLS,
    KEY,
    RESPONSE_TOOLS,
    SERVER,
    TOOL_FUNCTIONS,
    TWO_TOOLS,
    base,
    case,
    main,
    show,
)
from openai import AsyncAzureOpenAI, AsyncOpenAI, AzureOpenAI, OpenAI
from pydantic import BaseModel

VERSION = tuple(int(part) for part in openai.__version__.split(".")[:2])
USAGE = {"stream_options": {"include_usage": True}}


class Person(BaseModel):
    """What a structured answer holds."""

    name: str
    age: int


PERSON = '<<say {"name":"Ada","age":36}>>'


def chat_api(client):
    """Where `parse` and `stream` live in this version."""
    return client.chat.completions if VERSION >= (1, 92) else client.beta.chat.completions


def said(completion):
    """The answer and its tokens."""
    usage = completion.usage
    return (
        completion.choices[0].message.content,
        usage and usage.prompt_tokens,
        usage and usage.completion_tokens,
    )


def heard(chunks):
    """The text of a stream, its number of chunks, its usage."""
    chunks = list(chunks)
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    usage = [c.usage.prompt_tokens for c in chunks if getattr(c, "usage", None)]
    return text, len(chunks), usage


async def alist(chunks):
    """The items of an async iterator."""
    return [chunk async for chunk in chunks]


@case()
def plain(ask):
    result = OpenAI().chat.completions.create(**ask.chat())
    show(said(result), type(result).__name__, result._request_id if VERSION >= (1, 50) else "")


@case(base="argument")
def explicit_base(ask):
    show(said(OpenAI(base_url=SERVER + "/v1").chat.completions.create(**ask.chat())))


@case()
async def async_plain(ask):
    async with AsyncOpenAI() as client:
        show(said(await client.chat.completions.create(**ask.chat())))


@case()
def stream(ask):
    stream = OpenAI().chat.completions.create(**ask.chat(stream=True))
    show(type(stream).__module__, type(stream).__name__, isinstance(stream, openai.Stream), heard(stream))


@case()
def stream_usage(ask):
    show(heard(OpenAI().chat.completions.create(**ask.chat(stream=True, **USAGE))))


@case()
def stream_usage_false(ask):
    off = {"stream_options": {"include_usage": False}}
    show(heard(OpenAI().chat.completions.create(**ask.chat(stream=True, **off))))


@case()
def stream_usual_loop(ask):
    for chunk in OpenAI().chat.completions.create(**ask.chat(stream=True)):
        show(chunk.choices[0].delta.content, chunk.choices[0].finish_reason)


@case()
async def async_stream(ask):
    async with AsyncOpenAI() as client:
        stream = await client.chat.completions.create(**ask.chat(stream=True))
        show(type(stream).__name__, isinstance(stream, openai.AsyncStream), heard(await alist(stream)))


@case()
async def async_stream_usage(ask):
    async with AsyncOpenAI() as client:
        show(heard(await alist(await client.chat.completions.create(**ask.chat(stream=True, **USAGE)))))


@case()
def stream_helper(ask):
    with chat_api(OpenAI()).stream(**ask.chat()) as stream:
        show([event.type for event in stream], said(stream.get_final_completion()))


@case()
async def async_stream_helper(ask):
    async with AsyncOpenAI() as client, chat_api(client).stream(**ask.chat()) as stream:
        show([event.type async for event in stream], said(await stream.get_final_completion()))


@case()
def raw_response(ask):
    raw = OpenAI().chat.completions.with_raw_response.create(**ask.chat())
    show(
        type(raw).__name__,
        raw.status_code,
        raw.headers["content-type"],
        raw.headers["x-request-id"],
        said(raw.parse()),
    )
    show(
        raw.http_response.json()["usage"]["prompt_tokens"],
        len(raw.content),
        raw.retries_taken if VERSION >= (1, 50) else 0,
    )


@case()
def raw_response_stream(ask):
    raw = OpenAI().chat.completions.with_raw_response.create(**ask.chat(stream=True, **USAGE))
    show(type(raw).__name__, raw.headers["content-type"], heard(raw.parse()))


@case()
async def async_raw_response(ask):
    async with AsyncOpenAI() as client:
        raw = await client.chat.completions.with_raw_response.create(**ask.chat())
        show(type(raw).__name__, raw.status_code, said(raw.parse()))


@case()
def streaming_response(ask):
    with OpenAI().chat.completions.with_streaming_response.create(**ask.chat()) as raw:
        show(type(raw).__name__, raw.status_code, said(raw.parse()))


@case()
def streaming_response_lines(ask):
    with OpenAI().chat.completions.with_streaming_response.create(**ask.chat(stream=True, **USAGE)) as raw:
        show([line for line in raw.iter_lines() if line.strip()])


@case()
def streaming_response_bytes(ask):
    with OpenAI().chat.completions.with_streaming_response.create(**ask.chat()) as raw:
        show(len(b"".join(raw.iter_bytes())))


@case()
async def async_streaming_response(ask):
    async with AsyncOpenAI() as client:
        async with client.chat.completions.with_streaming_response.create(
            **ask.chat(stream=True, **USAGE)
        ) as raw:
            show(raw.status_code, heard(await alist(await raw.parse())))


@case(unread=True)
def streaming_response_unread(ask):
    with OpenAI().chat.completions.with_streaming_response.create(**ask.chat()) as raw:
        show(raw.status_code)


@case()
def parse(ask):
    result = chat_api(OpenAI()).parse(**ask.chat(PERSON, response_format=Person))
    show(result.choices[0].message.parsed, type(result).__name__)


@case()
async def async_parse(ask):
    async with AsyncOpenAI() as client:
        show(
            (await chat_api(client).parse(**ask.chat(PERSON, response_format=Person)))
            .choices[0]
            .message.parsed
        )


@case(unread=True)
def break_early(ask):
    for index, chunk in enumerate(OpenAI().chat.completions.create(**ask.chat("<<chunks 30>>", stream=True))):
        if index == 3:
            show(chunk.choices[0].delta.content)
            break


@case(unread=True)
def left_open(ask):
    stream = OpenAI().chat.completions.create(**ask.chat("<<chunks 30>>", stream=True))
    show(next(iter(stream)).choices[0].delta.role)
    Keep.streams.append(stream)


class Keep:
    """Streams that nobody ever closes."""

    streams = []


@case(unread=True)
async def async_break_early(ask):
    client = AsyncOpenAI()
    count = 0
    async for _ in await client.chat.completions.create(**ask.chat("<<chunks 30>>", stream=True)):
        count += 1
        if count == 3:
            break
    show(count)


@case(unread=True)
async def async_cancelled(ask):
    client, begun = AsyncOpenAI(), asyncio.Event()

    async def read():
        async for _ in await client.chat.completions.create(**ask.chat("<<chunks 100>>", stream=True)):
            begun.set()

    task = asyncio.ensure_future(read())
    await begun.wait()
    task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        show("cancelled")


@case()
def with_stream(ask):
    with OpenAI().chat.completions.create(**ask.chat(stream=True, **USAGE)) as stream:
        show(type(stream).__name__, hasattr(stream, "response"), stream.response.status_code, heard(stream))


@case()
def client_post(ask):
    from openai.types.chat import ChatCompletion

    show(said(OpenAI().post("/chat/completions", cast_to=ChatCompletion, body=ask.chat())))


@case()
def client_post_response(ask):
    import importlib

    http = importlib.import_module("httpx2" if VERSION >= (3, 0) else "httpx")
    response = OpenAI().post("/chat/completions", cast_to=http.Response, body=ask.chat())
    show(type(response).__name__, response.json()["usage"]["prompt_tokens"])


@case()
def completions(ask):
    result = OpenAI().completions.create(model=ask.model, prompt=ask.prompt())
    show(result.choices[0].text, result.usage.prompt_tokens)


@case()
def completions_stream(ask):
    stream = OpenAI().completions.create(model=ask.model, prompt=ask.prompt(), stream=True)
    show("".join(chunk.choices[0].text for chunk in stream))


@case()
def completions_stream_usage(ask):
    stream = OpenAI().completions.create(model=ask.model, prompt=ask.prompt(), stream=True, **USAGE)
    show([chunk.choices[0].text if chunk.choices else chunk.usage.prompt_tokens for chunk in stream])


@case(branches=True)
def threads(ask):
    client, results = OpenAI(), {}

    def one(index):
        results[index] = said(client.chat.completions.create(**ask.chat(who=str(index))))

    workers = [threading.Thread(target=one, args=(index,)) for index in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    show(sorted(results.items()))


@case()
def thread_pool(ask):
    from concurrent.futures import ThreadPoolExecutor

    client = OpenAI()
    with ThreadPoolExecutor(4) as pool:
        show(list(pool.map(lambda i: said(client.chat.completions.create(**ask.chat(who=str(i)))), range(6))))


@case(branches=True, late=True)
async def tasks(ask):
    async with AsyncOpenAI() as client:
        jobs = [
            client.chat.completions.create(
                **ask.chat(who=str(i), stream=i % 2 == 1, **(USAGE if i % 2 else {}))
            )
            for i in range(4)
        ]
        results = await asyncio.gather(*jobs)
        show([said(r) if i % 2 == 0 else heard(await alist(r)) for i, r in enumerate(results)])


@case()
def module_level(ask):
    openai.api_type, openai.api_key, openai.base_url = "openai", KEY, base() + "/"
    show(said(openai.chat.completions.create(**ask.chat())))


@case()
def retry_429(ask):
    show(said(OpenAI().chat.completions.create(**ask.chat("<<429-once>>"))))


@case()
def retry_500(ask):
    show(said(OpenAI().chat.completions.create(**ask.chat("<<500-once>>"))))


@case()
async def async_retry_429_stream(ask):
    async with AsyncOpenAI() as client:
        show(
            heard(
                await alist(
                    await client.chat.completions.create(**ask.chat("<<429-once>>", stream=True, **USAGE))
                )
            )
        )


@case()
def retry_reset_first(ask):
    show(said(OpenAI().chat.completions.create(**ask.chat("<<reset-first>>"))))


@case()
def no_retry_429(ask):
    OpenAI(max_retries=0).chat.completions.create(**ask.chat("<<429-once>>"))


@case()
def always_500(ask):
    OpenAI(max_retries=2).chat.completions.create(**ask.chat("<<500>>"))


@case()
def bad_request(ask):
    OpenAI().chat.completions.create(**ask.chat("<<400>>"))


@case()
def timeout_headers(ask):
    OpenAI(max_retries=0, timeout=1).chat.completions.create(**ask.chat("<<stall-headers>>"))


@case(unread=True)
def stall_in_stream(ask):
    heard(OpenAI(max_retries=0, timeout=1).chat.completions.create(**ask.chat("<<stall>>", stream=True)))


@case()
def reset_in_stream(ask):
    heard(OpenAI(max_retries=0).chat.completions.create(**ask.chat("<<reset>>", stream=True)))


@case()
def error_in_stream(ask):
    heard(OpenAI(max_retries=0).chat.completions.create(**ask.chat("<<stream-error>>", stream=True)))


@case(calls=1)
def nobody_listens(ask):
    OpenAI(base_url="http://127.0.0.1:9/v1", max_retries=0).chat.completions.create(**ask.chat())


def azure(kind, **more):
    """An Azure client of the server."""
    return kind(api_key=KEY, api_version="2024-10-21", **more)


@case()
def azure_plain(ask):
    show(said(azure(AzureOpenAI).chat.completions.create(**ask.chat())))


@case()
def azure_deployment(ask):
    show(said(azure(AzureOpenAI, azure_deployment="my-deployment").chat.completions.create(**ask.chat())))


@case()
def azure_stream(ask):
    show(
        heard(azure(AzureOpenAI).chat.completions.create(**ask.chat("<<no-choices>>", stream=True, **USAGE)))
    )


@case()
async def azure_async(ask):
    async with azure(AsyncAzureOpenAI) as client:
        show(said(await client.chat.completions.create(**ask.chat())))


@case()
def embeddings(ask):
    show(OpenAI().embeddings.create(model=ask.model, input=[ask.prompt(), "b"]).data[1].embedding)


@case()
async def async_embeddings_float(ask):
    async with AsyncOpenAI() as client:
        show(
            (
                await client.embeddings.create(model=ask.model, input=ask.prompt(), encoding_format="float")
            ).usage.total_tokens
        )


@case()
def tools(ask):
    client, messages = OpenAI(), ask.messages(TWO_TOOLS)
    first = client.chat.completions.create(model=ask.model, messages=messages, tools=CHAT_TOOLS)
    messages.append(first.choices[0].message)
    for call in first.choices[0].message.tool_calls:
        result = TOOL_FUNCTIONS[call.function.name]("Paris")
        messages.append({"role": "tool", "tool_call_id": call.id, "content": result})
    show(said(client.chat.completions.create(model=ask.model, messages=messages, tools=CHAT_TOOLS)))


tools = case(sessions=1, tools="serial")(tools)


@case(sessions=1, tools="parallel")
async def tools_stream_parallel(ask):
    async with AsyncOpenAI() as client:
        messages, calls = ask.messages(TWO_TOOLS), {}
        options = {"model": ask.model, "tools": CHAT_TOOLS, "stream": True, **USAGE}
        async for chunk in await client.chat.completions.create(messages=messages, **options):
            for part in chunk.choices[0].delta.tool_calls or [] if chunk.choices else []:
                known = calls.setdefault(
                    part.index, {"id": part.id, "name": part.function.name, "arguments": ""}
                )
                known["arguments"] += part.function.arguments or ""
        asked = [
            {"id": c["id"], "type": "function", "function": {"name": c["name"], "arguments": c["arguments"]}}
            for c in calls.values()
        ]
        messages.append({"role": "assistant", "content": None, "tool_calls": asked})
        from casebook import work_async

        results = await asyncio.gather(*(work_async(c["name"], "Paris") for c in calls.values()))
        for call, result in zip(calls.values(), results):
            messages.append({"role": "tool", "tool_call_id": call["id"], "content": result})
        show(heard(await alist(await client.chat.completions.create(messages=messages, **options))))


@case(sessions=1)
def conversation(ask):
    client, messages = OpenAI(), ask.messages()
    for turn in range(3):
        answer = client.chat.completions.create(model=ask.model, messages=messages)
        messages.append({"role": "assistant", "content": answer.choices[0].message.content})
        messages.append({"role": "user", "content": "and tomorrow {}?".format(turn)})
        show(said(answer))


@case(sessions=2)
def two_conversations(ask):
    client, talks = OpenAI(), [ask.messages(who=who) for who in ("Ann", "Bob")]
    for turn in range(2):
        for messages in talks:
            answer = client.chat.completions.create(model=ask.model, messages=messages)
            messages.append({"role": "assistant", "content": answer.choices[0].message.content})
            messages.append({"role": "user", "content": "and tomorrow {}?".format(turn)})
            show(said(answer))


@case(sessions=2)
def named_sessions(ask):
    import contextlib

    try:
        from tracekit import session
    except ImportError:  # an agent that is instrumented by hand also runs where nothing records it

        def session(name):
            return contextlib.nullcontext()

    client = OpenAI()
    for name in ("Ann", "Bob"):
        with session(name):
            for turn in range(2):
                show(said(client.chat.completions.create(**ask.chat(who=name + str(turn)))))


@case()
def three_choices(ask):
    result = OpenAI().chat.completions.create(**ask.chat(n=3))
    show(len(result.choices), said(result))


@case()
def three_choices_stream(ask):
    chunks = list(OpenAI().chat.completions.create(**ask.chat(n=3, stream=True, **USAGE)))
    show(len(chunks), [c.choices[0].index for c in chunks if c.choices])


@case()
def reasoning_stream(ask):
    chunks = OpenAI().chat.completions.create(**ask.chat("<<reasoning>>", stream=True, **USAGE))
    show([getattr(c.choices[0].delta, "reasoning_content", None) for c in chunks if c.choices])


@case()
def crlf_comments_stream(ask):
    show(heard(OpenAI().chat.completions.create(**ask.chat("<<crlf>> <<comments>>", stream=True, **USAGE))))


@case()
def split_characters_stream(ask):
    show(
        heard(
            OpenAI().chat.completions.create(
                **ask.chat("<<split>> <<say été 漢字 🙂 ok>>", stream=True, **USAGE)
            )
        )
    )


@case()
def no_newline_stream(ask):
    show(heard(OpenAI().chat.completions.create(**ask.chat("<<no-newline>>", stream=True, **USAGE))))


@case()
def gzip(ask):
    show(said(OpenAI().chat.completions.create(**ask.chat("<<gzip>>"))))


@case()
def gzip_stream(ask):
    show(heard(OpenAI().chat.completions.create(**ask.chat("<<gzip>>", stream=True, **USAGE))))


@case()
def long_prompt(ask):
    filler = "word " * 100_000
    show(said(OpenAI().chat.completions.create(**ask.chat("<<tokens 100111 22>> " + filler))))


@case()
def long_stream(ask):
    text, count, usage = heard(
        OpenAI().chat.completions.create(**ask.chat("<<chunks 150>>", stream=True, **USAGE))
    )
    show(len(text), count, usage)


@case()
def pickled(ask):
    result = OpenAI().chat.completions.create(**ask.chat())
    show(said(pickle.loads(pickle.dumps(result))), result.to_json() == result.model_copy(deep=True).to_json())


@case()
def own_http_client(ask):
    import importlib

    http = importlib.import_module("httpx2" if VERSION >= (3, 0) else "httpx")
    seen = []
    hooks = {"request": [lambda r: seen.append(r.method)], "response": [lambda r: seen.append(r.status_code)]}
    client = http.Client(event_hooks=hooks)
    show(
        said(OpenAI(http_client=client).chat.completions.create(**ask.chat())),
        seen,
        type(client.send).__name__,
    )


@case()
def with_options(ask):
    client = OpenAI().with_options(timeout=20).copy(max_retries=1)
    show(
        said(
            client.chat.completions.create(
                **ask.chat(), extra_headers={"x-mine": "1"}, extra_query={"q": "1"}
            )
        )
    )


@case()
def other_calls_too(ask):
    client = OpenAI()
    show([model.id for model in client.models.list()], said(client.chat.completions.create(**ask.chat())))


def child(ask, *flags, env=None):
    """The same call in a Python of its own."""
    code = "from openai import OpenAI; import sys; r = OpenAI().chat.completions.create(model=sys.argv[1], messages=[{'role': 'user', 'content': sys.argv[2]}]); print(r.usage.prompt_tokens)"
    command = [sys.executable, *flags, "-c", code, ask.model, ask.prompt()]
    done = subprocess.run(command, capture_output=True, text=True, env=env, check=False)
    show(done.returncode, done.stdout.strip(), done.stderr.strip()[-300:])


@case()
def subprocess_python(ask):
    child(ask)


def forked(ask):
    """What a forked or spawned worker does."""
    show(said(OpenAI().chat.completions.create(**ask.chat())))


@case()
def multiprocessing_fork(ask):
    import multiprocessing

    worker = multiprocessing.get_context("fork").Process(target=forked, args=(ask,))
    worker.start()
    worker.join()
    show(worker.exitcode)


@case()
def multiprocessing_spawn(ask):
    import multiprocessing

    worker = multiprocessing.get_context("spawn").Process(target=forked, args=(ask,))
    worker.start()
    worker.join()
    show(worker.exitcode)


if VERSION >= (1, 66):

    def output(response):
        """A response's text and tokens."""
        return response.output_text, response.usage and response.usage.input_tokens, response.status

    @case()
    def responses(ask):
        show(output(OpenAI().responses.create(model=ask.model, input=ask.prompt())))

    @case()
    async def async_responses(ask):
        async with AsyncOpenAI() as client:
            show(
                output(
                    await client.responses.create(
                        model=ask.model, input=ask.prompt(), instructions="Be brief."
                    )
                )
            )

    @case()
    def responses_stream(ask):
        stream = OpenAI().responses.create(model=ask.model, input=ask.prompt(), stream=True)
        show(type(stream).__name__, [event.type for event in stream])

    @case()
    async def async_responses_stream_reasoning(ask):
        async with AsyncOpenAI() as client:
            stream = await client.responses.create(
                model=ask.model, input=ask.prompt("<<reasoning>>"), stream=True
            )
            show([event.type async for event in stream])

    @case()
    def responses_stream_helper(ask):
        with OpenAI().responses.stream(model=ask.model, input=ask.prompt()) as stream:
            show([event.type for event in stream], output(stream.get_final_response()))

    @case()
    def responses_raw_stream(ask):
        raw = OpenAI().responses.with_raw_response.create(model=ask.model, input=ask.prompt(), stream=True)
        show(raw.headers["x-request-id"], [event.type for event in raw.parse()])

    @case()
    def responses_parse(ask):
        result = OpenAI().responses.parse(model=ask.model, input=ask.prompt(PERSON), text_format=Person)
        show(result.output_parsed)

    @case(sessions=1)
    def responses_previous(ask):
        client = OpenAI()
        first = client.responses.create(model=ask.model, input=ask.prompt())
        second = client.responses.create(
            model=ask.model, input="and tomorrow?", previous_response_id=first.id
        )
        show(output(first), output(second))

    @case(sessions=1, tools="serial")
    def responses_tools(ask):
        client, options = OpenAI(), {"model": ask.model, "tools": RESPONSE_TOOLS}
        items = [{"role": "user", "content": ask.prompt(TWO_TOOLS)}]
        first = client.responses.create(input=items, **options)
        items += [item.model_dump(exclude_none=True) for item in first.output]
        for call in first.output:
            result = TOOL_FUNCTIONS[call.name]("Paris")
            items.append({"type": "function_call_output", "call_id": call.call_id, "output": result})
        show(output(client.responses.create(input=items, **options)))

    @case(sessions=1, tools="serial")
    def responses_tools_previous(ask):
        client, options = OpenAI(), {"model": ask.model, "tools": RESPONSE_TOOLS}
        first = client.responses.create(input=ask.prompt(TWO_TOOLS), **options)
        results = [
            {
                "type": "function_call_output",
                "call_id": call.call_id,
                "output": TOOL_FUNCTIONS[call.name]("Paris"),
            }
            for call in first.output
        ]
        show(output(client.responses.create(input=results, previous_response_id=first.id, **options)))

    @case(unread=True)
    def responses_break_early(ask):
        with OpenAI().responses.create(
            model=ask.model, input=ask.prompt("<<chunks 30>>"), stream=True
        ) as stream:
            for event in stream:
                if event.type == "response.output_text.delta":
                    show(event.delta)
                    break


if VERSION >= (3, 0):

    @case(sessions=1)
    def responses_websocket(ask):
        with OpenAI().responses.connect() as connection:
            connection.response.create(model=ask.model, input=ask.prompt())
            previous = None
            for event in connection:
                show(event.type)
                if event.type == "response.completed":
                    if previous:
                        break
                    previous = event.response.id
                    connection.response.create(model=ask.model, input="more", previous_response_id=previous)

    @case()
    async def async_responses_websocket(ask):
        async with AsyncOpenAI() as client, client.responses.connect() as connection:
            await connection.response.create(model=ask.model, input=ask.prompt())
            async for event in connection:
                show(event.type)
                if event.type == "response.completed":
                    break


@case(alone=True, exit=137, marks=True)
def sigkill(ask):
    client = OpenAI()
    for index in range(3):
        show(said(client.chat.completions.create(**ask.chat(who=str(index)))))
    os.kill(os.getpid(), 9)


@case(alone=True, exit=3, unread=True)
def os_exit_in_stream(ask):
    for index, _ in enumerate(OpenAI().chat.completions.create(**ask.chat("<<chunks 30>>", stream=True))):
        if index == 4:
            show("leaving")
            os._exit(3)


if __name__ == "__main__":
    main()
