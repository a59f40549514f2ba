"""OpenAI Agents SDK: three tasks side by side in one loop: three sessions."""

import asyncio

from agents import Agent, Runner, function_tool, set_tracing_disabled
from slow_tools import read_async, search_async

set_tracing_disabled(True)
agent = Agent(
    name="librarian",
    instructions="You answer from the library.",
    model="gpt-4o-mini",
    tools=[function_tool(search_async), function_tool(read_async)],
)


async def main():
    runs = await asyncio.gather(*(Runner.run(agent, f"What is {i}?") for i in range(3)))
    for run in runs:
        print(run.final_output)


asyncio.run(main())
