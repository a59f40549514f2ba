"""pydantic-ai: Responses by default, chat by name; tools are run side by side."""

import asyncio

from casebook import TWO_TOOLS, case, get_time, get_weather, main, show, work_async
from pydantic import BaseModel
from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel


class Person(BaseModel):
    """What a structured answer holds."""

    name: str
    age: int


async def get_weather_async(city: str) -> str:
    """Get the weather of a city."""
    return await work_async("get_weather_async", city)


async def get_time_async(city: str) -> str:
    """Get the time of a city."""
    return await work_async("get_time_async", city)


TWO_ASYNC = "<<tools get_weather_async get_time_async>>"


def chat(ask, **more):
    """An agent by chat completions."""
    return Agent(OpenAIChatModel(ask.model), **more)


def responses(ask, **more):
    """An agent by Responses."""
    return Agent(OpenAIResponsesModel(ask.model), **more)


@case()
def run_sync(ask):
    result = chat(ask).run_sync(ask.prompt())
    show(result.output, result.usage)


@case()
async def run(ask):
    show((await responses(ask).run(ask.prompt())).output)


@case()
async def stream(ask):
    async with chat(ask).run_stream(ask.prompt()) as result:
        show([text async for text in result.stream_text(delta=True, debounce_by=None)])


@case()
async def stream_responses(ask):
    async with responses(ask).run_stream(ask.prompt()) as result:
        show([text async for text in result.stream_text(delta=True, debounce_by=None)])


@case(unread=True)
async def stream_broken_off(ask):
    async with chat(ask).run_stream(ask.prompt("<<chunks 30>>")) as result:
        async for text in result.stream_text(delta=True, debounce_by=None):
            show(text)
            break


@case(sessions=1, tools="parallel")
async def tools(ask):
    show((await chat(ask, tools=[get_weather_async, get_time_async]).run(ask.prompt(TWO_ASYNC))).output)


@case(sessions=1, tools="parallel")
async def tools_in_threads(ask):
    show((await chat(ask, tools=[get_weather, get_time]).run(ask.prompt(TWO_TOOLS))).output)


@case(sessions=1, tools="parallel")
async def tools_responses(ask):
    show((await responses(ask, tools=[get_weather_async, get_time_async]).run(ask.prompt(TWO_ASYNC))).output)


@case(sessions=1, tools="parallel")
async def tools_events(ask):
    agent = chat(ask, tools=[get_weather_async, get_time_async])
    count = 0
    async with agent.iter(ask.prompt(TWO_ASYNC)) as run:
        async for _ in run:
            count += 1
    show(count, run.result.output)


@case()
async def structured(ask):
    agent = chat(ask, output_type=Person)
    show((await agent.run(ask.prompt('<<tools final_result {"name":"Ada","age":36}>>'))).output)


@case(sessions=1)
async def two_turns(ask):
    agent = chat(ask)
    first = await agent.run(ask.prompt())
    show((await agent.run("and tomorrow?", message_history=first.all_messages())).output)


@case(alone=True, sessions=3)
async def side_by_side(ask):
    agent = chat(ask, tools=[get_weather_async, get_time_async])
    jobs = [agent.run(ask.prompt(TWO_ASYNC, who=who)) for who in ("Ann", "Bob", "Cid")]
    show([result.output for result in await asyncio.gather(*jobs)])


@case(sessions=1)
async def sub_agent(ask):
    inner = Agent(OpenAIChatModel(ask.model + "--inner"))
    outer = chat(ask)

    @outer.tool_plain
    async def ask_inner(question: str) -> str:
        """Ask the inner agent."""
        return (await inner.run(question)).output

    show((await outer.run(ask.prompt('<<tools ask_inner {"question": "why?"}>>'))).output)


@case()
async def retried(ask):
    show((await chat(ask).run(ask.prompt("<<429-once>>"))).output)


if __name__ == "__main__":
    main()
