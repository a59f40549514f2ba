"""litellm: the OpenAI provider by its SDK, hosted_vllm by litellm's own clients, sync and async."""

import asyncio
import os

import litellm
from casebook import CHAT_TOOLS, TOOL_FUNCTIONS, TWO_TOOLS, case, main, show

litellm.telemetry = False
litellm.suppress_debug_info = True
USAGE = {"stream_options": {"include_usage": True}}


def said(answer):
    """What an answer says, and its tokens."""
    return answer.choices[0].message.content, answer.usage.prompt_tokens, answer.usage.completion_tokens


def both(function):
    """The case for each of the two providers."""
    for provider in ("openai", "hosted_vllm"):

        def of_provider(ask, provider=provider):
            return function(ask, provider)

        of_provider.__name__ = function.__name__ + "_" + provider
        yield of_provider


def add(function, **promise):
    """Register the case for each provider."""
    for one in both(function):
        case(**promise)(one)


def body(ask, provider, directives="", **more):
    """Arguments of completion()."""
    return dict(ask.chat(directives, **more), model=provider + "/" + ask.model)


def completion(ask, provider):
    show(said(litellm.completion(**body(ask, provider))))


def stream(ask, provider):
    chunks = list(litellm.completion(**body(ask, provider, stream=True)))
    show(len(chunks), "".join(chunk.choices[0].delta.content or "" for chunk in chunks))


def stream_usage(ask, provider):
    chunks = list(litellm.completion(**body(ask, provider, stream=True, **USAGE)))
    show(len(chunks), [chunk.usage.prompt_tokens for chunk in chunks if getattr(chunk, "usage", None)])


async def acompletion(ask, provider):
    show(said(await litellm.acompletion(**body(ask, provider))))


async def astream(ask, provider):
    stream = await litellm.acompletion(**body(ask, provider, stream=True, **USAGE))
    show("".join([chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices]))


async def together(ask, provider):
    jobs = [
        litellm.acompletion(**dict(body(ask, provider), messages=ask.messages(who=str(i)))) for i in range(4)
    ]
    show([said(answer) for answer in await asyncio.gather(*jobs)])


def other_loop(ask, provider):
    from concurrent.futures import ThreadPoolExecutor

    async def one(who):
        return said(await litellm.acompletion(**dict(body(ask, provider), messages=ask.messages(who=who))))

    with ThreadPoolExecutor(1) as pool:
        for who in "ab":
            show(pool.submit(lambda who=who: asyncio.run(one(who))).result())


def retried(ask, provider):
    show(said(litellm.completion(**body(ask, provider, "<<429-once>>", num_retries=2))))


def tools(ask, provider):
    messages = ask.messages(TWO_TOOLS)
    name = provider + "/" + ask.model
    first = litellm.completion(model=name, messages=messages, tools=CHAT_TOOLS).choices[0].message
    messages.append(first)
    for call in first.tool_calls:
        result = TOOL_FUNCTIONS[call.function.name]("Paris")
        messages.append({"role": "tool", "tool_call_id": call.id, "content": result})
    show(said(litellm.completion(model=name, messages=messages, tools=CHAT_TOOLS)))


def embedding(ask, provider):
    show(litellm.embedding(model=provider + "/" + ask.model, input=[ask.prompt()]).data[0]["embedding"])


def error(ask, provider):
    litellm.completion(**body(ask, provider, "<<400>>", num_retries=0))


def break_early(ask, provider):
    for index, chunk in enumerate(litellm.completion(**body(ask, provider, "<<chunks 30>>", stream=True))):
        if index == 3:
            show(chunk.choices[0].delta.content)
            break


for function in (
    completion,
    stream,
    stream_usage,
    acompletion,
    astream,
    other_loop,
    retried,
    embedding,
    error,
):
    add(function)
add(together, branches=True)
add(tools, sessions=1, tools="serial")
add(break_early, unread=True)


@case()
def responses(ask):
    show(litellm.responses(model="openai/" + ask.model, input=ask.prompt()).output[0].content[0].text)


@case()
async def aresponses_stream(ask):
    stream = await litellm.aresponses(model="openai/" + ask.model, input=ask.prompt(), stream=True)
    show([str(event.type) async for event in stream][-1])


@case()
def text_completion(ask):
    show(
        litellm.text_completion(model="text-completion-openai/" + ask.model, prompt=ask.prompt())
        .choices[0]
        .text
    )


@case()
def anthropic(ask):
    base = os.environ["ANTHROPIC_BASE_URL"]
    show(said(litellm.completion(**body(ask, "anthropic"), api_base=base)))


@case()
def anthropic_stream(ask):
    base = os.environ["ANTHROPIC_BASE_URL"]
    chunks = list(litellm.completion(**body(ask, "anthropic", stream=True), api_base=base))
    show("".join(chunk.choices[0].delta.content or "" for chunk in chunks))


@case()
async def anthropic_async(ask):
    base = os.environ["ANTHROPIC_BASE_URL"]
    show(said(await litellm.acompletion(**body(ask, "anthropic"), api_base=base)))


@case()
def router(ask):
    entry = {"model_name": "mine", "litellm_params": {"model": "openai/" + ask.model}}
    show(said(litellm.Router(model_list=[entry]).completion("mine", ask.messages())))


if __name__ == "__main__":
    main()
