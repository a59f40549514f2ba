"""langchain-openai and langgraph."""

import asyncio
import os

from casebook import TWO_TOOLS, case, get_time, get_weather, main, show, work_async
from langchain.agents import create_agent
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.tools import tool
from langchain_openai import AzureChatOpenAI, ChatOpenAI, OpenAIEmbeddings
from pydantic import BaseModel


class Person(BaseModel):
    """What a structured answer holds."""

    name: str
    age: int


PERSON = '<<say {"name":"Ada","age":36}>>'
TOOLS = [tool(get_weather), tool(get_time)]


def model(ask, **more):
    """A chat model of the case."""
    return ChatOpenAI(model=ask.model, **more)


def said(message):
    """What an answer says, and its tokens."""
    return message.text if isinstance(
        message.text, str
    ) else message.text(), message.usage_metadata and message.usage_metadata["input_tokens"]


@case()
def invoke(ask):
    show(said(model(ask).invoke(ask.prompt())))


@case()
async def ainvoke(ask):
    show(said(await model(ask).ainvoke(ask.prompt())))


@case()
def stream(ask):
    chunks = list(model(ask).stream(ask.prompt()))
    show(
        len(chunks),
        "".join(chunk.text for chunk in chunks),
        [c.usage_metadata for c in chunks if c.usage_metadata],
    )


@case()
async def astream(ask):
    show([chunk.text async for chunk in model(ask, stream_usage=True).astream(ask.prompt())])


@case(base="argument")
def explicit_base_stream(ask):
    url = os.environ["CLIENTS_SERVER"] + "/v1"
    chunks = list(ChatOpenAI(model=ask.model, base_url=url).stream(ask.prompt()))
    show([c.usage_metadata for c in chunks if c.usage_metadata])


@case(branches=True)
def batch(ask):
    show([said(answer) for answer in model(ask).batch([ask.prompt(who=str(i)) for i in range(4)])])


@case(branches=True)
async def abatch(ask):
    show([said(answer) for answer in await model(ask).abatch([ask.prompt(who=str(i)) for i in range(4)])])


@case()
def responses_mode(ask):
    show(said(model(ask, use_responses_api=True).invoke(ask.prompt())))


@case()
def responses_mode_stream(ask):
    show([chunk.text for chunk in model(ask, use_responses_api=True).stream(ask.prompt())])


@case()
def structured(ask):
    show(model(ask).with_structured_output(Person).invoke(ask.prompt(PERSON)))


@case()
def headers(ask):
    answer = model(ask, include_response_headers=True).invoke(ask.prompt())
    show(answer.response_metadata["headers"]["x-request-id"])


@case()
def embeddings(ask):
    made = OpenAIEmbeddings(model=ask.model, check_embedding_ctx_length=False)
    show(made.embed_query(ask.prompt()), len(made.embed_documents([ask.prompt(), "b"])))


@case()
def azure(ask):
    show(
        said(
            AzureChatOpenAI(azure_deployment=ask.model, api_version="2024-10-21", model=ask.model).invoke(
                ask.prompt()
            )
        )
    )


@case()
def retry(ask):
    show(said(model(ask).invoke(ask.prompt("<<429-once>>"))))


@case(unread=True)
def break_early(ask):
    for index, chunk in enumerate(model(ask).stream(ask.prompt("<<chunks 30>>"))):
        if index == 3:
            show(chunk.text)
            break


@case(sessions=1, tools="parallel")
def agent(ask):
    result = create_agent(model(ask), TOOLS).invoke({"messages": ask.messages(TWO_TOOLS)})
    show([type(message).__name__ for message in result["messages"]], said(result["messages"][-1]))


@tool
async def get_weather_async(city: str) -> str:
    """Get the weather of a city."""
    return await work_async("get_weather_async", city)


@tool
async def get_time_async(city: str) -> str:
    """Get the time of a city."""
    return await work_async("get_time_async", city)


ASYNC_TOOLS = "<<tools get_weather_async get_time_async>>"


@case(sessions=1, tools="parallel")
async def agent_async(ask):
    made = create_agent(model(ask), [get_weather_async, get_time_async])
    result = await made.ainvoke({"messages": ask.messages(ASYNC_TOOLS)})
    show(said(result["messages"][-1]))


@case(sessions=1, tools="parallel")
async def agent_streamed(ask):
    made = create_agent(model(ask), [get_weather_async, get_time_async])
    kinds = [
        kind
        async for kind, _ in made.astream(
            {"messages": ask.messages(ASYNC_TOOLS)}, stream_mode=["messages", "updates"]
        )
    ]
    show(sorted(set(kinds)), len(kinds))


@case(sessions=1, tools="parallel")
def agent_two_rounds(ask):
    rounds = "<<tools get_weather get_time>> <<tools get_time>>"
    show(said(create_agent(model(ask), TOOLS).invoke({"messages": ask.messages(rounds)})["messages"][-1]))


@case(sessions=1, tools="parallel")
def agent_responses(ask):
    made = create_agent(model(ask, use_responses_api=True), TOOLS)
    show(said(made.invoke({"messages": ask.messages(TWO_TOOLS)})["messages"][-1]))


@case(alone=True, sessions=3)
async def agents_side_by_side(ask):
    made = create_agent(model(ask), [get_weather_async, get_time_async])
    prompts = [ask.messages(ASYNC_TOOLS, who=who) for who in ("Ann", "Bob", "Cid")]
    results = await asyncio.gather(*(made.ainvoke({"messages": messages}) for messages in prompts))
    show([said(result["messages"][-1]) for result in results])


@case()
def own_callbacks(ask):
    seen = []

    class Mine(BaseCallbackHandler):
        def on_chat_model_start(self, *args, **kwargs):
            seen.append("start")

        def on_llm_end(self, *args, **kwargs):
            seen.append("end")

    show(said(model(ask).invoke(ask.prompt(), config={"callbacks": [Mine()]})), seen)


if __name__ == "__main__":
    main()
