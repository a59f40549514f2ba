"""The anthropic SDK."""

import asyncio
import os

import anthropic
from anthropic import Anthropic, AsyncAnthropic
from casebook import CITY, SERVER, TOOL_FUNCTIONS, TWO_TOOLS, case, main, show

TOOLS = [{"name": name, "description": name, "input_schema": CITY} for name in TOOL_FUNCTIONS]


def body(ask, directives="", who="", **more):
    """Arguments of messages.create."""
    return dict(ask.chat(directives, who), max_tokens=500, **more)


def said(message):
    """What a message says, and its usage."""
    return (
        [block.type for block in message.content],
        message.usage.input_tokens,
        message.usage.cache_read_input_tokens,
    )


@case()
def plain(ask):
    show(said(Anthropic().messages.create(**body(ask, system="Be brief."))))


@case(base="argument")
def explicit_base(ask):
    show(said(Anthropic(base_url=SERVER).messages.create(**body(ask))))


@case()
async def async_plain(ask):
    show(said(await AsyncAnthropic().messages.create(**body(ask))))


@case()
def stream_events(ask):
    stream = Anthropic().messages.create(**body(ask, stream=True))
    show(isinstance(stream, anthropic.Stream), [event.type for event in stream])


@case()
def stream_helper(ask):
    with Anthropic().messages.stream(**body(ask)) as stream:
        show(list(stream.text_stream), said(stream.get_final_message()))


@case()
async def async_stream_helper(ask):
    async with AsyncAnthropic().messages.stream(**body(ask)) as stream:
        show([text async for text in stream.text_stream], said(await stream.get_final_message()))


@case()
def thinking_stream(ask):
    with Anthropic().messages.stream(**body(ask, "<<reasoning>>")) as stream:
        show([event.type for event in stream])


@case()
def raw_response(ask):
    raw = Anthropic().messages.with_raw_response.create(**body(ask))
    show(raw.headers["x-request-id"], said(raw.parse()))


@case(unread=True)
def break_early(ask):
    with Anthropic().messages.stream(**body(ask, "<<chunks 30>>")) as stream:
        for index, text in enumerate(stream.text_stream):
            if index == 3:
                show(text)
                break


@case()
def retried(ask):
    show(said(Anthropic().messages.create(**body(ask, "<<429-once>>"))))


@case()
def error_in_stream(ask):
    list(Anthropic(max_retries=0).messages.create(**body(ask, "<<stream-error>>", stream=True)))


@case(sessions=1, tools="serial")
def tools(ask):
    client, messages = Anthropic(), ask.messages(TWO_TOOLS)
    options = {"model": ask.model, "max_tokens": 500, "tools": TOOLS}
    first = client.messages.create(messages=messages, **options)
    results = [
        {"type": "tool_result", "tool_use_id": block.id, "content": TOOL_FUNCTIONS[block.name]("Paris")}
        for block in first.content
    ]
    messages += [{"role": "assistant", "content": first.content}, {"role": "user", "content": results}]
    show(said(client.messages.create(messages=messages, **options)))


@case(branches=True)
async def together(ask):
    client = AsyncAnthropic()
    show(
        [said(m) for m in await asyncio.gather(*(client.messages.create(**body(ask, who=w)) for w in "abc"))]
    )


@case()
def openai_address_too(ask):
    show("OPENAI_BASE_URL" in os.environ, said(Anthropic().messages.create(**body(ask))))


if __name__ == "__main__":
    main()
