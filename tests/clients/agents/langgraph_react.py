"""LangChain and LangGraph: create_agent, tools in a pool of threads."""

from langchain.agents import create_agent
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from slow_tools import read, search

agent = create_agent(
    ChatOpenAI(model="gpt-4o-mini"), [tool(search), tool(read)], system_prompt="You answer from the library."
)
print(agent.invoke({"messages": [("user", "What is it?")]})["messages"][-1].content)
