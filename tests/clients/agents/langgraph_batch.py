"""LangChain and LangGraph: three tasks as a batch in threads: three sessions."""

from langchain.agents import create_agent
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from slow_tools import read, search

agent = create_agent(
    ChatOpenAI(model="gpt-4o-mini"), [tool(search), tool(read)], system_prompt="You answer from the library."
)
for state in agent.batch([{"messages": [("user", f"What is {i}?")]} for i in range(3)]):
    print(state["messages"][-1].content)
