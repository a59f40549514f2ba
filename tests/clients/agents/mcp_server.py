"""An MCP server with the two tools; the MCP agents start it."""

import logging

from slow_tools import read_async, search_async

try:
    from mcp.server.mcpserver import MCPServer as Server
except ImportError:  # before 2
    from mcp.server.fastmcp import FastMCP as Server

logging.disable(logging.CRITICAL)
server = Server("library")
server.tool()(search_async)
server.tool()(read_async)
server.run()
