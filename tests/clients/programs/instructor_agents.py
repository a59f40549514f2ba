"""instructor: structured answers by tools and by JSON, and asking again after a failed validation."""

import instructor
from casebook import case, main, show
from openai import AsyncOpenAI, OpenAI
from pydantic import BaseModel, Field


class Person(BaseModel):
    """What a structured answer holds."""

    name: str
    age: int


class Adult(BaseModel):
    """A person whose age is never right, so that instructor asks again."""

    name: str
    age: int = Field(ge=100)


TOOL = '<<tools Person {"name":"Ada","age":36}>>'
JSON = '<<say {"name":"Ada","age":36}>>'


@case()
def by_tools(ask):
    client = instructor.from_openai(OpenAI())
    show(client.chat.completions.create(response_model=Person, **ask.chat(TOOL)))


@case()
async def by_tools_async(ask):
    client = instructor.from_openai(AsyncOpenAI())
    show(await client.chat.completions.create(response_model=Person, **ask.chat(TOOL)))


@case()
def by_json(ask):
    client = instructor.from_openai(OpenAI(), mode=instructor.Mode.JSON)
    show(client.chat.completions.create(response_model=Person, **ask.chat(JSON)))


@case()
def by_json_schema(ask):
    client = instructor.from_openai(OpenAI(), mode=instructor.Mode.JSON_SCHEMA)
    person, raw = client.chat.completions.create_with_completion(response_model=Person, **ask.chat(JSON))
    show(person, raw.usage.prompt_tokens)


@case()
def partial(ask):
    client = instructor.from_openai(OpenAI(), mode=instructor.Mode.JSON)
    show(
        [
            part.model_dump()
            for part in client.chat.completions.create_partial(response_model=Person, **ask.chat(JSON))
        ][-1]
    )


@case(sessions=1)
def asked_again(ask):
    client = instructor.from_openai(OpenAI())
    calls = ' <<tools Adult {"name":"Ada","age":36}>> <<tools Adult {"name":"Ada","age":136}>>'
    show(client.chat.completions.create(response_model=Adult, max_retries=3, **ask.chat(calls)))


if __name__ == "__main__":
    main()
