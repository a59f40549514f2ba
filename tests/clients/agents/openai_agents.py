"""OpenAI Agents SDK: Responses, two function tools at once."""

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
print(asyncio.run(Runner.run(agent, "What is it?")).final_output)
