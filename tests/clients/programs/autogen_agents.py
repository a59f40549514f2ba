"""autogen-agentchat with autogen-ext's OpenAI client: tools on one loop."""

import asyncio

from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.conditions import MaxMessageTermination
from autogen_agentchat.teams import RoundRobinGroupChat
from autogen_core.models import UserMessage
from autogen_ext.models.openai import OpenAIChatCompletionClient
from casebook import TWO_TOOLS, case, get_time, get_weather, main, show, work_async

INFO = {
    "vision": False,
    "function_calling": True,
    "json_output": True,
    "family": "unknown",
    "structured_output": True,
}


async def get_weather_async(city: str) -> str:
    """Get the weather of a city."""
    return await work_async("get_weather_async", city)


async def get_time_async(city: str) -> str:
    """Get the time of a city."""
    return await work_async("get_time_async", city)


TWO_ASYNC = "<<tools get_weather_async get_time_async>>"


def client(ask, place=""):
    """The model client."""
    return OpenAIChatCompletionClient(model=ask.model + place, model_info=INFO)


def agent(ask, **more):
    """An agent that thinks about its tools' results."""
    return AssistantAgent("helper", model_client=client(ask), reflect_on_tool_use=True, **more)


@case()
async def create(ask):
    answer = await client(ask).create([UserMessage(content=ask.prompt(), source="me")])
    show(answer.content, answer.usage)


@case()
async def create_stream(ask):
    parts = [
        part async for part in client(ask).create_stream([UserMessage(content=ask.prompt(), source="me")])
    ]
    show(parts[:-1], parts[-1].usage)


@case()
async def run(ask):
    show((await agent(ask).run(task=ask.prompt())).messages[-1].content)


@case(sessions=1, tools="parallel")
async def tools(ask):
    result = await agent(ask, tools=[get_weather_async, get_time_async]).run(task=ask.prompt(TWO_ASYNC))
    show([type(message).__name__ for message in result.messages], result.messages[-1].content)


@case(sessions=1, tools="serial")
async def tools_blocking(ask):
    result = await agent(ask, tools=[get_weather, get_time]).run(task=ask.prompt(TWO_TOOLS))
    show(result.messages[-1].content)


@case(sessions=1, tools="parallel")
async def tools_streamed(ask):
    made = agent(ask, tools=[get_weather_async, get_time_async], model_client_stream=True)
    show([type(item).__name__ async for item in made.run_stream(task=ask.prompt(TWO_ASYNC))])


@case()
async def team(ask):
    members = [AssistantAgent(name, model_client=client(ask, "--" + name)) for name in ("one", "two")]
    result = await RoundRobinGroupChat(members, termination_condition=MaxMessageTermination(3)).run(
        task=ask.prompt()
    )
    show([message.source for message in result.messages])


@case(alone=True, sessions=3)
async def side_by_side(ask):
    made = [agent(ask, tools=[get_weather_async, get_time_async]) for _ in range(3)]
    jobs = [one.run(task=ask.prompt(TWO_ASYNC, who=who)) for one, who in zip(made, ("Ann", "Bob", "Cid"))]
    show([result.messages[-1].content for result in await asyncio.gather(*jobs)])


if __name__ == "__main__":
    main()
