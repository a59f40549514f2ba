"""OpenAI Agents SDK: chat completions, streamed, with a sub-agent as a tool."""

import asyncio

from agents import Agent, OpenAIChatCompletionsModel, Runner, function_tool, set_tracing_disabled
from openai import AsyncOpenAI
from slow_tools import read, search

set_tracing_disabled(True)


async def main():
    model = OpenAIChatCompletionsModel(model="gpt-4o-mini", openai_client=AsyncOpenAI())
    reader = Agent(name="reader", instructions="You read.", model=model, tools=[function_tool(read)])
    tools = [
        function_tool(search),
        reader.as_tool(tool_name="read", tool_description="Reads a page."),
    ]
    agent = Agent(name="librarian", instructions="You answer from the library.", model=model, tools=tools)
    run = Runner.run_streamed(agent, "What is it?")
    async for _event in run.stream_events():
        pass
    print(run.final_output)


asyncio.run(main())
