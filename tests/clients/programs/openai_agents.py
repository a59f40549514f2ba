"""openai-agents: Responses and chat models, streamed and not, tools side by side, handoffs, agents as tools.

The client has its key by argument and OPENAI_API_KEY is taken away: so traces are made, but never sent anywhere.
"""

import asyncio
import os

from agents import (
    Agent,
    OpenAIChatCompletionsModel,
    Runner,
    SQLiteSession,
    function_tool,
    handoff,
    set_default_openai_client,
)
from casebook import KEY, TWO_TOOLS, case, get_time, get_weather, main, show, work, work_async
from openai import AsyncOpenAI

os.environ.pop("OPENAI_API_KEY", None)
CLIENT = AsyncOpenAI(api_key=KEY)
set_default_openai_client(CLIENT, use_for_tracing=False)
TOOLS = [function_tool(get_weather), function_tool(get_time)]


@function_tool
async def get_weather_async(city: str) -> str:
    """Get the weather of a city."""
    return await work_async("get_weather_async", city)


@function_tool
async def get_time_async(city: str) -> str:
    """Get the time of a city."""
    return await work_async("get_time_async", city)


@function_tool
def blocking(city: str) -> str:
    """Get the news of a city."""
    return work("blocking", city)


ASYNC_TOOLS = [get_weather_async, get_time_async]
TWO_ASYNC = "<<tools get_weather_async get_time_async>>"


def chat_model(ask):
    """The model by chat completions."""
    return OpenAIChatCompletionsModel(ask.model, CLIENT)


@case()
async def run(ask):
    result = await Runner.run(Agent(name="plain", model=ask.model), ask.prompt())
    show(result.final_output, result.context_wrapper.usage.input_tokens)


@case()
async def run_chat(ask):
    show((await Runner.run(Agent(name="plain", model=chat_model(ask)), ask.prompt())).final_output)


@case(sessions=1, tools="parallel")
async def tools(ask):
    show(
        (
            await Runner.run(Agent(name="worker", model=ask.model, tools=ASYNC_TOOLS), ask.prompt(TWO_ASYNC))
        ).final_output
    )


@case(sessions=1, tools="parallel")
async def tools_chat(ask):
    agent = Agent(name="worker", model=chat_model(ask), tools=TOOLS)
    show((await Runner.run(agent, ask.prompt(TWO_TOOLS))).final_output)


@case(sessions=1, tools="parallel")
async def tools_two_rounds(ask):
    agent = Agent(name="worker", model=ask.model, tools=[*ASYNC_TOOLS, blocking])
    show((await Runner.run(agent, ask.prompt(TWO_ASYNC + " <<tools blocking>>"))).final_output)


@case(sessions=1, tools="parallel")
async def tools_streamed(ask):
    result = Runner.run_streamed(
        Agent(name="worker", model=ask.model, tools=ASYNC_TOOLS), ask.prompt(TWO_ASYNC)
    )
    show([event.type async for event in result.stream_events()], result.final_output)


@case(sessions=1, tools="parallel")
async def tools_chat_streamed(ask):
    result = Runner.run_streamed(
        Agent(name="worker", model=chat_model(ask), tools=ASYNC_TOOLS), ask.prompt(TWO_ASYNC)
    )
    show(len([event async for event in result.stream_events()]), result.final_output)


@case(alone=True, sessions=3)
async def side_by_side(ask):
    agent = Agent(name="worker", model=ask.model, tools=ASYNC_TOOLS)
    jobs = [Runner.run(agent, ask.prompt(TWO_ASYNC, who=who)) for who in ("Ann", "Bob", "Cid")]
    show([result.final_output for result in await asyncio.gather(*jobs)])


@case(sessions=1)
async def session_of_two_turns(ask):
    memory, agent = SQLiteSession("talk"), Agent(name="plain", model=ask.model)
    show((await Runner.run(agent, ask.prompt(), session=memory)).final_output)
    show((await Runner.run(agent, "and tomorrow?", session=memory)).final_output)


@case(sessions=1)
async def previous_response(ask):
    agent = Agent(name="plain", model=ask.model)
    first = await Runner.run(agent, ask.prompt())
    show((await Runner.run(agent, "and tomorrow?", previous_response_id=first.last_response_id)).final_output)


@case(sessions=1)
async def handed_off(ask):
    other = Agent(name="other", model=ask.model + "--other")
    first = Agent(name="first", model=ask.model, handoffs=[handoff(other)])
    result = await Runner.run(first, ask.prompt("<<tools transfer_to_other {}>>"))
    show(result.final_output, result.last_agent.name)


@case(sessions=1)
async def agent_as_tool(ask):
    inner = Agent(name="inner", model=ask.model + "--inner").as_tool("ask_inner", "Ask the inner agent.")
    outer = Agent(name="outer", model=ask.model, tools=[inner])
    inner_prompt = '{"input": "inner question"}'
    show((await Runner.run(outer, ask.prompt("<<tools ask_inner " + inner_prompt + ">>"))).final_output)


@case()
async def retried(ask):
    show((await Runner.run(Agent(name="plain", model=ask.model), ask.prompt("<<429-once>>"))).final_output)


if __name__ == "__main__":
    main()
