"""llama-index: the OpenAI class (which ignores OPENAI_BASE_URL), OpenAILike, Responses and agents."""

import asyncio
import os

from casebook import TWO_TOOLS, case, get_time, get_weather, main, show, work_async
from llama_index.core.agent.workflow import AgentWorkflow, FunctionAgent, ReActAgent
from llama_index.core.llms import ChatMessage
from llama_index.llms.openai import OpenAI, OpenAIResponses
from llama_index.llms.openai_like import OpenAILike

KNOWN = "gpt-4o-mini"  # OpenAI takes known names only


async def get_weather_async(city: str) -> str:
    """Get the weather of a city."""
    return await work_async("get_weather_async", city)


async def get_time_async(city: str) -> str:
    """Get the time of a city."""
    return await work_async("get_time_async", city)


TWO_ASYNC = "<<tools get_weather_async get_time_async>>"
ASYNC_TOOLS = [get_weather_async, get_time_async]


def like(ask, **more):
    """A model of any name."""
    where = {"api_base": os.environ["OPENAI_BASE_URL"], "api_key": os.environ["OPENAI_API_KEY"]}
    return OpenAILike(model=ask.model, is_chat_model=True, is_function_calling_model=True, **where, **more)


@case(model=KNOWN)
def openai_complete(ask):
    show(OpenAI(model=ask.model).complete(ask.prompt()).text)


@case()
def like_complete(ask):
    show(like(ask).complete(ask.prompt()).text)


@case()
def like_chat(ask):
    answer = like(ask).chat([ChatMessage(role="user", content=ask.prompt())])
    show(answer.message.content, answer.raw.usage.prompt_tokens)


@case()
def like_stream(ask):
    show([part.delta for part in like(ask).stream_complete(ask.prompt())])


@case()
async def like_async(ask):
    show((await like(ask).acomplete(ask.prompt())).text)


@case()
async def like_async_stream(ask):
    show([part.delta async for part in await like(ask).astream_complete(ask.prompt())])


@case(model=KNOWN)
def responses(ask):
    show(OpenAIResponses(model=ask.model).complete(ask.prompt()).text)


@case(sessions=1, tools="parallel", races=True)
async def agent(ask):
    made = FunctionAgent(tools=ASYNC_TOOLS, llm=like(ask))
    show(str(await made.run(user_msg=ask.prompt(TWO_ASYNC))))


@case(sessions=1, tools="parallel", races=True)
async def agent_blocking_tools(ask):
    made = FunctionAgent(tools=[get_weather, get_time], llm=like(ask), streaming=False)
    show(str(await made.run(user_msg=ask.prompt(TWO_TOOLS))))


@case(sessions=1, tools="parallel", races=True)
async def workflow(ask):
    made = AgentWorkflow.from_tools_or_functions(ASYNC_TOOLS, llm=like(ask))
    handler = made.run(user_msg=ask.prompt(TWO_ASYNC))
    kinds = {type(event).__name__ async for event in handler.stream_events()}
    show(sorted(kinds), str(await handler))


@case(model=KNOWN, sessions=1, tools="parallel", races=True)
async def agent_of_openai(ask):
    show(
        str(
            await FunctionAgent(tools=ASYNC_TOOLS, llm=OpenAI(model=ask.model)).run(
                user_msg=ask.prompt(TWO_ASYNC)
            )
        )
    )


@case(sessions=1)
async def react(ask):
    made = ReActAgent(tools=ASYNC_TOOLS, llm=like(ask))
    show(str(await made.run(user_msg=ask.prompt("<<say Thought: I can answer.\nAnswer: sunny>>"))))


@case(alone=True, sessions=3, races=True)
async def side_by_side(ask):
    jobs = [
        FunctionAgent(tools=ASYNC_TOOLS, llm=like(ask)).run(user_msg=ask.prompt(TWO_ASYNC, who=w))
        for w in "abc"
    ]
    show([str(result) for result in await asyncio.gather(*jobs)])


if __name__ == "__main__":
    main()
