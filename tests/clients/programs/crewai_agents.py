"""crewai: its own OpenAI provider, agents, tools, a crew."""

import os

from casebook import case, main, show, work
from crewai import LLM, Agent, Crew, Task
from crewai.tools import tool

TWO = "<<tools get_the_weather get_the_time>>"


@tool("get_the_weather")
def weather(city: str) -> str:
    """Get the weather of a city."""
    return work("get_the_weather", city)


@tool("get_the_time")
def clock(city: str) -> str:
    """Get the time of a city."""
    return work("get_the_time", city)


def model(ask, **more):
    """A model of any name at a given address."""
    return LLM(model=ask.model, custom_openai=True, base_url=os.environ["OPENAI_BASE_URL"], **more)


@case()
def call(ask):
    show(model(ask).call(ask.messages()))


@case()
def call_stream(ask):
    show(model(ask, stream=True).call(ask.messages()))


@case()
async def acall(ask):
    show(await model(ask).acall(ask.messages()))


@case(model="gpt-4o-mini")
def call_known_name(ask):
    show(LLM(model="openai/" + ask.model).call(ask.messages()))


def crew(ask, directives, tools=()):
    """One agent and one task."""
    agent = Agent(
        role="helper", goal="help", backstory="none", llm=model(ask), tools=list(tools), verbose=False
    )
    task = Task(description=ask.prompt(directives), expected_output="weather", agent=agent)
    return Crew(agents=[agent], tasks=[task], verbose=False)


@case(varies=True)
def kickoff(ask):
    show(crew(ask, "<<say Thought: I know.\nFinal Answer: sunny>>").kickoff().raw)


@case(sessions=1, tools="parallel", varies=True)
def kickoff_tools(ask):
    show(crew(ask, TWO, [weather, clock]).kickoff().raw)


@case(varies=True)
async def kickoff_async(ask):
    show((await crew(ask, "<<say Thought: I know.\nFinal Answer: sunny>>").kickoff_async()).raw)


if __name__ == "__main__":
    main()
