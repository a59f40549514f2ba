"""A loop of the user's own: the openai client, and an MCP server as a child process."""

import asyncio
import json
import os
import sys
from pathlib import Path

from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client
from openai import AsyncOpenAI

TOOLS = [
    {
        "type": "function",
        "function": {"name": name, "parameters": {"type": "object", "properties": {key: {}}}},
    }
    for name, key in (("search", "query"), ("read", "page"))
]


async def main():
    # a client hands only some variables to the servers that it starts
    server = StdioServerParameters(
        command=sys.executable, args=[str(Path(__file__).with_name("mcp_server.py"))], env=dict(os.environ)
    )
    async with stdio_client(server) as streams, ClientSession(*streams) as session:
        await session.initialize()
        client, messages = AsyncOpenAI(), [{"role": "user", "content": "What is it?"}]
        while True:
            answer = await client.chat.completions.create(model="gpt-4o-mini", messages=messages, tools=TOOLS)
            message = answer.choices[0].message
            messages.append(message.model_dump(exclude_none=True))
            if not message.tool_calls:
                print(message.content)
                return
            results = await asyncio.gather(
                *(
                    session.call_tool(call.function.name, json.loads(call.function.arguments))
                    for call in message.tool_calls
                )
            )
            for call, result in zip(message.tool_calls, results, strict=True):
                messages.append({"role": "tool", "tool_call_id": call.id, "content": str(result.content)})


asyncio.run(main())
