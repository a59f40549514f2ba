"""smolagents: tool results come back as text, tools run in a pool of threads."""

import logging

from casebook import case, main, show, work
from smolagents import CodeAgent, LogLevel, OpenAIServerModel, ToolCallingAgent, tool

logging.disable(logging.WARNING)
FINAL = ' <<tools final_answer {"answer": "sunny"}>>'


@tool
def weather(city: str) -> str:
    """Get the weather of a city.

    Args:
        city: the city
    """
    return work("weather", city)


@tool
def clock(city: str) -> str:
    """Get the time of a city.

    Args:
        city: the city
    """
    return work("clock", city)


def model(ask):
    """The model of a case; the address is an argument here."""
    import os

    return OpenAIServerModel(
        model_id=ask.model, api_base=os.environ["OPENAI_BASE_URL"], api_key=os.environ["OPENAI_API_KEY"]
    )


@case()
def generate(ask):
    answer = model(ask).generate(ask.messages())
    show(answer.content, answer.token_usage.input_tokens)


@case()
def generate_stream(ask):
    deltas = list(model(ask).generate_stream(ask.messages()))
    show([delta.content for delta in deltas], [d.token_usage.input_tokens for d in deltas if d.token_usage])


@case(sessions=1, tools="serial")
def one_tool(ask):
    agent = ToolCallingAgent(tools=[weather], model=model(ask), verbosity_level=LogLevel.OFF)
    show(agent.run(ask.prompt("<<tools weather>>" + FINAL)))


@case(sessions=1, tools="parallel")
def two_tools(ask):
    agent = ToolCallingAgent(tools=[weather, clock], model=model(ask), verbosity_level=LogLevel.OFF)
    show(agent.run(ask.prompt("<<tools weather clock>>" + FINAL)))


@case(sessions=1, tools="parallel")
def two_tools_streamed(ask):
    agent = ToolCallingAgent(
        tools=[weather, clock], model=model(ask), verbosity_level=LogLevel.OFF, stream_outputs=True
    )
    show(len(list(agent.run(ask.prompt("<<tools weather clock>>" + FINAL), stream=True))) > 3)


@case(sessions=1)
def code_agent(ask):
    agent = CodeAgent(tools=[weather], model=model(ask), verbosity_level=LogLevel.OFF)
    show(agent.run(ask.prompt("<<say <code>\nfinal_answer(weather('Paris'))\n</code>\n>>")))


if __name__ == "__main__":
    main()
