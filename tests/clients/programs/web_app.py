"""A web application that makes one LLM call for each request: WSGI for gunicorn, ASGI for uvicorn."""

import os

from openai import AsyncOpenAI, OpenAI

MODEL = os.environ.get("WEB_MODEL", "none")
CLIENT = OpenAI()  # made before the workers are forked, as preloaded applications do


def messages(path):
    """The prompt for a path."""
    return [{"role": "user", "content": "violet otter asks the web " + path}]


def wsgi(environ, start_response):
    """gunicorn's application."""
    answer = CLIENT.chat.completions.create(model=MODEL, messages=messages(environ["PATH_INFO"]))
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [answer.choices[0].message.content.encode()]


async def asgi(scope, receive, send):
    """uvicorn's application, which streams."""
    if scope["type"] != "http":
        return
    text = ""
    stream = await AsyncOpenAI().chat.completions.create(
        model=MODEL, messages=messages(scope["path"]), stream=True, stream_options={"include_usage": True}
    )
    async for chunk in stream:
        text += (chunk.choices[0].delta.content or "") if chunk.choices else ""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": text.encode()})
