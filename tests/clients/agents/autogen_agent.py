"""AutoGen AgentChat: one assistant with async tools."""

import asyncio

from autogen_agentchat.agents import AssistantAgent
from autogen_ext.models.openai import OpenAIChatCompletionClient
from slow_tools import read_async, search_async


async def main():
    agent = AssistantAgent(
        "librarian",
        OpenAIChatCompletionClient(model="gpt-4o-mini"),
        tools=[search_async, read_async],
        max_tool_iterations=5,
        system_message="You answer from the library.",
    )
    print((await agent.run(task="What is it?")).messages[-1].to_text())


asyncio.run(main())
