"""OpenAI Agents SDK with an MCP server as a child process: the tools run over there."""

import asyncio
import os
import sys
from pathlib import Path

from agents import Agent, Runner, set_tracing_disabled
from agents.mcp import MCPServerStdio

set_tracing_disabled(True)


async def main():
    script = str(Path(__file__).with_name("mcp_server.py"))
    # a client hands only some variables to the servers that it starts
    server = {"command": sys.executable, "args": [script], "env": dict(os.environ)}
    async with MCPServerStdio(params=server, client_session_timeout_seconds=30) as mcp_server:
        agent = Agent(
            name="librarian",
            instructions="You answer from the library.",
            model="gpt-4o-mini",
            mcp_servers=[mcp_server],
        )
        print((await Runner.run(agent, "What is it?")).final_output)


asyncio.run(main())
