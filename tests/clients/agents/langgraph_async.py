"""LangChain and LangGraph, async and streamed."""

import asyncio

from langchain.agents import create_agent
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from slow_tools import read_async, search_async


async def main():
    agent = create_agent(
        ChatOpenAI(model="gpt-4o-mini", streaming=True),
        [tool(search_async), tool(read_async)],
        system_prompt="You answer from the library.",
    )
    states = [
        state async for state in agent.astream({"messages": [("user", "What is it?")]}, stream_mode="values")
    ]
    print(states[-1]["messages"][-1].content)


asyncio.run(main())
