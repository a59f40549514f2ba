"""AutoGen AgentChat: two assistants take turns in a team."""

import asyncio

from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.conditions import MaxMessageTermination
from autogen_agentchat.teams import RoundRobinGroupChat
from autogen_ext.models.openai import OpenAIChatCompletionClient
from slow_tools import read_async, search_async


async def main():
    model = OpenAIChatCompletionClient(model="gpt-4o-mini")
    finder = AssistantAgent(
        "finder", model, tools=[search_async, read_async], max_tool_iterations=5, system_message="You find."
    )
    writer = AssistantAgent("writer", model, system_message="You write.")
    team = RoundRobinGroupChat([finder, writer], termination_condition=MaxMessageTermination(3))
    print((await team.run(task="What is it?")).messages[-1].to_text())


asyncio.run(main())
