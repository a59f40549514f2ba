"""OpenAI Agents SDK: a planner, three workers side by side, one who joins: one session, by the SDK's own trace."""

import asyncio

from agents import Agent, Runner, set_trace_processors, trace
from slow_tools import read_async  # noqa: F401  (every agent here has its truth)

set_trace_processors([])
planner, worker, writer = (
    Agent(name=name, instructions=f"You are the {name}.", model="gpt-4o-mini")
    for name in ("planner", "worker", "writer")
)


async def main():
    with trace("Library"):
        await Runner.run(planner, "What is it?")
        found = await asyncio.gather(*(Runner.run(worker, f"part {i}") for i in range(3)))
        print((await Runner.run(writer, " ".join(run.final_output for run in found))).final_output)


asyncio.run(main())
