"""ag2: chat completions and Responses, tools, streams, a second turn."""

import asyncio

from ag2 import Agent, tool
from ag2.config import OpenAIConfig, OpenAIResponsesConfig
from casebook import TWO_TOOLS, case, get_time, get_weather, main, show, work_async


@tool
async def get_weather_async(city: str) -> str:
    """Get the weather of a city."""
    return await work_async("get_weather_async", city)


@tool
async def get_time_async(city: str) -> str:
    """Get the time of a city."""
    return await work_async("get_time_async", city)


TWO_ASYNC = "<<tools get_weather_async get_time_async>>"
ASYNC_TOOLS = [get_weather_async, get_time_async]


def agent(ask, config=OpenAIConfig, streaming=False, **more):
    """An agent of the case."""
    return Agent("helper", prompt="Help.", config=config(model=ask.model, streaming=streaming), **more)


@case()
async def plain(ask):
    show((await agent(ask).ask(ask.prompt())).body)


@case()
async def streamed(ask):
    show((await agent(ask, streaming=True).ask(ask.prompt())).body)


@case()
async def responses(ask):
    show((await agent(ask, OpenAIResponsesConfig).ask(ask.prompt())).body)


@case(sessions=1, tools="parallel")
async def tools(ask):
    show((await agent(ask, tools=ASYNC_TOOLS).ask(ask.prompt(TWO_ASYNC))).body)


@case(sessions=1, tools="parallel")
async def tools_in_threads(ask):
    show((await agent(ask, tools=[tool(get_weather), tool(get_time)]).ask(ask.prompt(TWO_TOOLS))).body)


@case(sessions=1, tools="parallel")
async def tools_streamed(ask):
    show((await agent(ask, streaming=True, tools=ASYNC_TOOLS).ask(ask.prompt(TWO_ASYNC))).body)


@case(sessions=1, tools="parallel")
async def tools_responses(ask):
    show((await agent(ask, OpenAIResponsesConfig, tools=ASYNC_TOOLS).ask(ask.prompt(TWO_ASYNC))).body)


@case(sessions=1)
async def two_turns(ask):
    first = await agent(ask).ask(ask.prompt())
    show((await first.ask("and tomorrow?")).body)


@case(alone=True, sessions=3)
async def side_by_side(ask):
    jobs = [
        agent(ask, tools=ASYNC_TOOLS).ask(ask.prompt(TWO_ASYNC, who=who)) for who in ("Ann", "Bob", "Cid")
    ]
    show([reply.body for reply in await asyncio.gather(*jobs)])


if __name__ == "__main__":
    main()
