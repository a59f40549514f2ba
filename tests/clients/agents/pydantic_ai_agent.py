"""pydantic-ai: the Responses API, two async tools at once."""

from pydantic_ai import Agent
from slow_tools import read_async, search_async

agent = Agent(
    "openai:gpt-4o-mini", instructions="You answer from the library.", tools=[search_async, read_async]
)
print(agent.run_sync("What is it?").output)
