"""Where agent frameworks run their tools, their agents and the requests they serve: a table, and no code.

A row names a function or method of the module that is its key, says what one run of it is, and from where its name
and the id of the model's tool call are to be read: a parameter of the function, then attributes, or a key. Of
`first|second` the one counts that this release has; what begins with `?` only some releases have.
`framework_hooks` does the rest. Read at the sources of
the releases in docs/recording.md.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Tuple

    Row = Tuple[str, str, str, str]  # what, function, name, id of the tool call

TOOL = "tool"
"""One run of it is one execution of a tool."""
RESULT = "result"
"""It begins when the tool around it has its result: what follows is the framework's own work, no part of the tool."""
RUN = "run"
"""One run of it is one task given to an agent, if it runs in no other such run."""
REQUEST = "request"
"""One run of it answers one request to a server: what it does has nothing to do with what was done before."""

FRAMEWORKS: dict[str, tuple[Row, ...]] = {
    # OpenAI Agents SDK
    "agents.tool": (
        (TOOL, "_invoke_function_tool_with_metadata|invoke_function_tool",
         "function_tool.name", "context.tool_call_id"),
    ),
    "agents.run": (
        (RUN, "Runner.run", "", ""), (RUN, "Runner.run_sync", "", ""), (RUN, "Runner.run_streamed", "", ""),
    ),
    # LangChain, LangGraph
    "langchain_core.tools.base": (
        (TOOL, "BaseTool.run", "self.name", "tool_call_id"),
        (TOOL, "BaseTool.arun", "self.name", "tool_call_id"),
    ),
    "langgraph.pregel.main": ((RUN, "Pregel.stream", "", ""), (RUN, "Pregel.astream", "", "")),
    "langgraph.pregel": ((RUN, "?Pregel.stream", "", ""), (RUN, "?Pregel.astream", "", "")),
    # Model Context Protocol
    "mcp.client.session": (
        (TOOL, "ClientSession.call_tool", "name", ""),
        (RESULT, "?ClientSession.validate_tool_result|ClientSession._validate_tool_result", "", ""),
    ),
    # pydantic-ai
    "pydantic_ai.tool_manager": (
        (TOOL, "ToolManager.execute_tool_call", "validated.call.tool_name", "validated.call.tool_call_id"),
    ),
    "pydantic_ai._tool_manager": (
        (TOOL, "ToolManager.handle_call", "call.tool_name", "call.tool_call_id"),
    ),
    "pydantic_ai.agent.abstract": ((RUN, "AbstractAgent.run", "", ""),),
    # smolagents
    "smolagents.tools": ((TOOL, "Tool.__call__", "self.name", ""),),
    "smolagents.agents": (
        (TOOL, "MultiStepAgent.__call__", "self.name", ""),
        (RUN, "MultiStepAgent.run", "", ""),
    ),
    # AutoGen and its fork
    "autogen_core.tools._base": (
        (TOOL, "BaseTool.run_json", "self.name", "call_id"),
        (TOOL, "?BaseStreamTool.run_json_stream", "self.name", "call_id"),
    ),
    "autogen_agentchat.agents._base_chat_agent": (
        (RUN, "BaseChatAgent.run", "", ""), (RUN, "BaseChatAgent.run_stream", "", ""),
    ),
    "autogen_agentchat.teams._group_chat._base_group_chat": (
        (RUN, "BaseGroupChat.run", "", ""), (RUN, "BaseGroupChat.run_stream", "", ""),
    ),
    "autogen.agentchat.conversable_agent": (
        (TOOL, "ConversableAgent.execute_function", "func_call.name", "call_id"),
        (TOOL, "ConversableAgent.a_execute_function", "func_call.name", "call_id"),
        (RUN, "ConversableAgent.initiate_chat", "", ""),
        (RUN, "ConversableAgent.a_initiate_chat", "", ""),
    ),
    "ag2.tools.final.function_tool": ((TOOL, "FunctionTool.__call__", "event.name", "event.id"),),
    "ag2.agent": ((RUN, "Agent.ask", "", ""), (RUN, "?AgentReply.ask", "", "")),
    # LlamaIndex
    "llama_index.core.agent.workflow.base_agent": (
        (TOOL, "BaseWorkflowAgent.call_tool", "ev.tool_name", "ev.tool_id"),
    ),
    "llama_index.core.agent.workflow.multi_agent_workflow": (
        (TOOL, "AgentWorkflow.call_tool", "ev.tool_name", "ev.tool_id"),
    ),
    "llama_index.core.tools.function_tool": (
        (TOOL, "FunctionTool.call", "self.metadata.name", ""),
        (TOOL, "FunctionTool.acall", "self.metadata.name", ""),
    ),
    "workflows.workflow": ((RUN, "Workflow.run", "", ""),),
    # DSPy
    "dspy.adapters.types.tool": (
        (TOOL, "Tool.__call__", "self.name", ""), (TOOL, "Tool.acall", "self.name", ""),
    ),
    "dspy.primitives.module": ((RUN, "Module.__call__", "", ""), (RUN, "Module.acall", "", "")),
    # CrewAI
    "crewai.tools.base_tool": (
        (TOOL, "BaseTool.run", "self.name", ""), (TOOL, "?BaseTool.arun", "self.name", ""),
        (TOOL, "Tool.run", "self.name", ""), (TOOL, "?Tool.arun", "self.name", ""),
    ),
    "crewai.tools.structured_tool": (
        (TOOL, "CrewStructuredTool.invoke", "self.name", ""),
        (TOOL, "CrewStructuredTool.ainvoke", "self.name", ""),
    ),
    "crewai.crew": (
        (RUN, "Crew.kickoff", "", ""), (RUN, "Crew.kickoff_async", "", ""), (RUN, "?Crew.akickoff", "", ""),
    ),
    # Haystack
    "haystack.tools.tool": (
        (TOOL, "Tool.invoke", "self.name", ""), (TOOL, "?Tool.invoke_async", "self.name", ""),
    ),
    # Semantic Kernel
    "semantic_kernel.functions.kernel_function_from_method": (
        (TOOL, "KernelFunctionFromMethod._invoke_internal", "self.name", ""),
    ),
    # Microsoft Agent Framework
    "agent_framework._tools": ((TOOL, "FunctionTool.invoke|AIFunction.invoke", "self.name", "?tool_call_id"),),
    # Google ADK
    "google.adk.tools.function_tool": (
        (TOOL, "FunctionTool.run_async", "self.name", "tool_context.function_call_id"),
    ),
    "google.adk.tools.agent_tool": (
        (TOOL, "AgentTool.run_async", "self.name", "tool_context.function_call_id"),
    ),
    "google.adk.runners": ((RUN, "Runner.run_async", "", ""),),
    # Strands
    "strands.tools.executors._executor": (
        (TOOL, "ToolExecutor._stream", "tool_use.name", "tool_use.toolUseId"),
    ),
    "strands.agent.agent": ((RUN, "Agent.stream_async", "", ""),),
    # Agno
    "agno.tools.function": (
        (TOOL, "FunctionCall.execute", "self.function.name", "self.call_id"),
        (TOOL, "FunctionCall.aexecute", "self.function.name", "self.call_id"),
    ),
    # servers that agents live in
    "http.server": ((REQUEST, "BaseHTTPRequestHandler.handle_one_request", "", ""),),
    "starlette.applications": ((REQUEST, "Starlette.__call__", "", ""),),
    "flask.app": ((REQUEST, "Flask.wsgi_app", "", ""),),
    "django.core.handlers.wsgi": ((REQUEST, "WSGIHandler.__call__", "", ""),),
    "django.core.handlers.asgi": ((REQUEST, "ASGIHandler.__call__", "", ""),),
    "aiohttp.web_app": ((REQUEST, "Application._handle", "", ""),),
    "uvicorn.protocols.http.h11_impl": ((REQUEST, "RequestResponseCycle.run_asgi", "", ""),),
    "uvicorn.protocols.http.httptools_impl": ((REQUEST, "RequestResponseCycle.run_asgi", "", ""),),
}  # fmt: skip
