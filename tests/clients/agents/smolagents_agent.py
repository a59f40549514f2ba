"""smolagents: a tool-calling agent, whose tool messages become plain text."""

import os

from slow_tools import read, search
from smolagents import OpenAIServerModel, Tool, ToolCallingAgent


class Search(Tool):
    name = "search"
    description = "Search the library."
    inputs = {"query": {"type": "string", "description": "what to look for"}}  # noqa: RUF012
    output_type = "string"

    def forward(self, query: str) -> str:
        return search(query)


class Read(Tool):
    name = "read"
    description = "Read a page."
    inputs = {"page": {"type": "string", "description": "its name"}}  # noqa: RUF012
    output_type = "string"

    def forward(self, page: str) -> str:
        return read(page)


model = OpenAIServerModel("gpt-4o-mini", api_base=os.environ["OPENAI_BASE_URL"], api_key="x")
print(ToolCallingAgent(tools=[Search(), Read()], model=model, verbosity_level=0).run("What is it?"))
