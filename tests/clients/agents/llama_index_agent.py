"""LlamaIndex: a function agent, streamed, async tools."""

import asyncio
import os

from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.tools import FunctionTool
from llama_index.llms.openai import OpenAI
from slow_tools import read_async, search_async


async def main():
    llm = OpenAI(model="gpt-4o-mini", api_base=os.environ["OPENAI_BASE_URL"], api_key="x")
    tools = [
        FunctionTool.from_defaults(async_fn=search_async, name="search", description="Search the library."),
        FunctionTool.from_defaults(async_fn=read_async, name="read", description="Read a page."),
    ]
    agent = FunctionAgent(tools=tools, llm=llm, system_prompt="You answer from the library.")
    print(await agent.run("What is it?"))


asyncio.run(main())
