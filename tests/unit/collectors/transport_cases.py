"""Cases of clients that are no httpx: http.client, urllib, urllib3, requests, aiohttp, websockets, and odd requests."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import gzip
import http.client
import io
import json
import pickle
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Iterator
from typing import Any

import aiohttp
import httpx
import httpx2
import openai
import requests
import urllib3

from tests.unit.collectors.client_cases import CASES, MESSAGES, case, chat_body, outcome
from tests.unit.collectors.socket_server import SocketServer

__all__ = ["CASES"]

JSON = {"content-type": "application/json"}


def chat(base: str) -> str:
    return f"{base}/chat/completions"


def encoded(model: str, **more: Any) -> bytes:
    return json.dumps(chat_body(model, **more)).encode()


def halves(data: bytes) -> Iterator[bytes]:
    yield data[: len(data) // 2]
    yield data[len(data) // 2 :]


def connection(base: str) -> contextlib.closing[http.client.HTTPConnection]:
    return contextlib.closing(http.client.HTTPConnection(base.removeprefix("http://").removesuffix("/v1")))


# http.client and urllib


@case
def http_client_plain(base: str, model: str) -> Any:
    with connection(base) as link:
        link.request("POST", "/v1/chat/completions?api-version=1", encoded(model), JSON)
        response = link.getresponse()
        seen = type(response), type(response.fp), response.status, response.getheader("content-type")
        data = response.read()
        link.request("GET", "/v1/models")
        return seen, json.loads(data), response.isclosed(), link.getresponse().read()


@case
def http_client_text(base: str, model: str) -> Any:
    with connection(base) as link:
        link.request("POST", "/v1/chat/completions", encoded(model).decode())
        with link.getresponse() as response:
            return response.readlines(), response.closed, sorted(vars(link))


@case
def http_client_by_hand(base: str, model: str) -> Any:
    with connection(base) as link:
        data = encoded(model)
        link.putrequest("POST", "/v1/chat/completions")
        link.putheader("Content-Length", str(len(data)))
        link.endheaders()
        for half in halves(data):
            link.send(half)
        return json.load(link.getresponse())


@case
def http_client_file(base: str, model: str) -> Any:
    with connection(base) as link:
        link.request(
            "POST", "/v1/chat/completions", io.BytesIO(encoded(model))
        )  # in chunks, its size is not known
        return json.load(link.getresponse())


@case
def http_client_stream(base: str, model: str) -> Any:
    with connection(base) as link:
        link.request("POST", "/v1/chat/completions", encoded(f"{model}-usage-split-crlf", stream=True))
        response = link.getresponse()
        room = bytearray(11)
        parts: list[Any] = [response.read(7), response.readinto(room), bytes(room), response.peek(3)[:3]]
        parts += [response.readline(), response.readline(5), response.read1(4), response.read1(0)]
        return parts, list(response), response.read(), response.isclosed()


@case
def http_client_stream_read1(base: str, model: str) -> Any:
    with connection(base) as link:
        link.request("POST", "/v1/chat/completions", encoded(f"{model}-usage", stream=True))
        response = link.getresponse()
        return b"".join(iter(response.read1, b""))


@case
def http_client_stream_untold(base: str, model: str) -> Any:
    with connection(base) as link:
        link.request("POST", "/v1/chat/completions", encoded(f"{model}-usage-untold", stream=True))
        response = link.getresponse()
        return response.read(), response.isclosed(), response.will_close


@case
def http_client_cut(base: str, model: str) -> Any:
    with connection(base) as link:
        link.request("POST", "/v1/chat/completions", encoded(f"{model}-cut"))
        return outcome(link.getresponse().read)


@case
def http_client_reset(base: str, model: str) -> Any:
    with connection(base) as link:
        link.request("POST", "/v1/chat/completions", encoded(f"{model}-reset", stream=True))
        response = link.getresponse()
        return outcome(response.read)


@case
def http_client_timeout(base: str, model: str) -> Any:
    with connection(base) as link:
        link.timeout = 0.2
        link.request("POST", "/v1/chat/completions", encoded(f"{model}-stall", stream=True))
        response = link.getresponse()
        return outcome(response.read)


@case
def http_client_closed(base: str, model: str) -> Any:
    with connection(base) as link:
        link.request("POST", "/v1/chat/completions", encoded(f"{model}-stall", stream=True))
        response = link.getresponse()
        line = response.readline()
        response.close()
        return line, response.closed, response.fp


@case
def urllib_plain(base: str, model: str) -> Any:
    request = urllib.request.Request(chat(base), encoded(model), JSON)
    with urllib.request.urlopen(request) as response:
        return type(response), response.status, response.msg, json.load(response)


@case
def urllib_stream(base: str, model: str) -> Any:
    request = urllib.request.Request(chat(base), encoded(f"{model}-usage", stream=True), JSON)
    with urllib.request.urlopen(request) as response:
        return [line for line in response if line.strip()]


@case
def urllib_refused(base: str, model: str) -> Any:
    request = urllib.request.Request(chat(base), encoded(f"{model}-refuse"), JSON)
    try:
        urllib.request.urlopen(request)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.reason, error.read()


# urllib3 and requests


@case
def urllib3_plain(base: str, model: str) -> Any:
    with urllib3.PoolManager() as pool:
        response = pool.request("POST", chat(base), json=chat_body(f"{model}-gzip"))
        return type(response), response.status, response.json(), response.tell()


@case
def urllib3_stream(base: str, model: str) -> Any:
    body = chat_body(f"{model}-usage-gzip-split", stream=True)
    with urllib3.PoolManager() as pool:
        response = pool.request("POST", chat(base), json=body, preload_content=False)
        return list(response.stream(5)), response.closed


@case
def urllib3_stream_read(base: str, model: str) -> Any:
    body = chat_body(f"{model}-usage-gzip-split", stream=True)
    with urllib3.PoolManager() as pool:
        response = pool.request("POST", chat(base), json=body, preload_content=False)
        return response.read1(3), response.read(9), response.supports_chunked_reads(), response.read()


@case
def urllib3_stream_raw(base: str, model: str) -> Any:
    body = chat_body(f"{model}-usage-br", stream=True)
    with urllib3.PoolManager() as pool:
        response = pool.request("POST", chat(base), json=body, preload_content=False)
        chunks = list(response.read_chunked(decode_content=False))
        return len(chunks), b"".join(chunks)[-6:], response.isclosed()


@case
def urllib3_file(base: str, model: str) -> Any:
    with urllib3.PoolManager() as pool:
        return pool.request("POST", chat(base), body=io.BytesIO(encoded(model))).json()


@case
def urllib3_left_open(base: str, model: str) -> Any:
    pool = urllib3.PoolManager()
    body = chat_body(f"{model}-stall", stream=True)
    response = pool.request("POST", chat(base), json=body, preload_content=False)
    return next(iter(response))


@case
def requests_plain(base: str, model: str) -> Any:
    response = requests.post(chat(base), json=chat_body(model), timeout=5)
    revived = pickle.loads(pickle.dumps(response))
    return type(response), type(response.raw), response.json(), revived.json(), response.raw.isclosed()


@case
def requests_session(base: str, model: str) -> Any:
    with requests.Session() as session:
        session.headers["x-mine"] = "1"
        first = session.post(chat(base), json=chat_body(f"{model}-br"))
        other = pickle.loads(pickle.dumps(session))
        return first.json(), sorted(vars(other)), copy.copy(session).headers, first.request.headers


@case
def requests_moved(base: str, model: str) -> Any:
    response = requests.post(chat(base).replace("/v1", "/moved/v1"), json=chat_body(model), timeout=5)
    return response.json(), [hop.status_code for hop in response.history], response.url == chat(base)


@case
def requests_stream_lines(base: str, model: str) -> Any:
    body = chat_body(f"{model}-usage", stream=True)
    with requests.post(chat(base), json=body, stream=True, timeout=5) as response:
        return list(response.iter_lines())


@case
def requests_stream_content(base: str, model: str) -> Any:
    body = chat_body(f"{model}-usage-deflate-comments", stream=True)
    with requests.post(chat(base), json=body, stream=True, timeout=5) as response:
        return list(response.iter_content(None))


@case
def requests_stream_raw(base: str, model: str) -> Any:
    body = chat_body(f"{model}-usage", stream=True)
    with requests.post(chat(base), json=body, stream=True, timeout=5) as response:
        return response.raw.readline(), response.raw.read(20), response.raw.read()


@case
def requests_stream_broken_off(base: str, model: str) -> Any:
    body = chat_body(f"{model}-stall", stream=True)
    with requests.post(chat(base), json=body, stream=True, timeout=5) as response:
        return next(response.iter_lines())


@case
def requests_reset(base: str, model: str) -> Any:
    body = chat_body(f"{model}-reset", stream=True)
    with requests.post(chat(base), json=body, stream=True, timeout=5) as response:
        return outcome(lambda: list(response.iter_lines()))[0]


@case
def requests_timeout(base: str, model: str) -> Any:
    body = chat_body(f"{model}-stall", stream=True)
    return outcome(lambda: requests.post(chat(base), json=body, timeout=0.2))[0]


@case
def requests_nobody_there(base: str, model: str) -> Any:
    return outcome(lambda: requests.post("http://127.0.0.1:9/v1/chat/completions", json=chat_body(model)))[0]


@case
def requests_generator(base: str, model: str) -> Any:
    return requests.post(chat(base), data=halves(encoded(model)), headers=JSON, timeout=5).json()


@case
def requests_gzipped(base: str, model: str) -> Any:
    headers = {**JSON, "content-encoding": "gzip"}
    return requests.post(chat(base), data=gzip.compress(encoded(model)), headers=headers, timeout=5).json()


@case
def requests_azure(base: str, model: str) -> Any:
    url = f"{base}/openai/deployments/{model}/chat/completions?api-version=2026-01-01"
    return requests.post(url, json={"messages": MESSAGES}, timeout=5).json()


@case
def ollama_chat(base: str, model: str) -> Any:
    url = base.replace("/v1", "/api/chat")
    with requests.post(url, json=chat_body(model), stream=True, timeout=5) as response:
        return [json.loads(line) for line in response.iter_lines()]


@case
def ollama_generate(base: str, model: str) -> Any:
    url = base.replace("/v1", "/api/generate")
    return requests.post(url, json={"model": model, "prompt": "Hi.", "stream": False}, timeout=5).json()


@case
def responses_previous(base: str, model: str) -> Any:
    body = {"model": model, "previous_response_id": "resp_0", "input": "And then?"}
    return requests.post(f"{base}/responses", json=body, timeout=5).json()


# aiohttp


@contextlib.asynccontextmanager
async def posted(base: str, body: Any, **options: Any) -> AsyncIterator[aiohttp.ClientResponse]:
    async with (
        aiohttp.ClientSession() as session,
        session.post(options.pop("url", chat(base)), json=body, **options) as response,
    ):
        yield response


async def raised(action: Any) -> Any:
    try:
        return await action
    except Exception as error:
        return type(error), str(error)


@case
async def aiohttp_plain(base: str, model: str) -> Any:
    async with posted(base, chat_body(model)) as response:
        return type(response), type(response.content), response.status, await response.json()


@case
async def aiohttp_gzip(base: str, model: str) -> Any:
    async with posted(base, chat_body(f"{model}-gzip")) as response:
        return await response.text(), await response.read(), response.headers["content-encoding"]


@case
async def aiohttp_moved(base: str, model: str) -> Any:
    url = chat(base).replace("/v1", "/moved/v1")
    async with posted(base, chat_body(model), url=url) as response:
        return await response.json(), [hop.status for hop in response.history]


@case
async def aiohttp_stream_lines(base: str, model: str) -> Any:
    async with posted(base, chat_body(f"{model}-usage", stream=True)) as response:
        return [line async for line in response.content], response.content.at_eof()


@case
async def aiohttp_stream_any(base: str, model: str) -> Any:
    async with posted(base, chat_body(f"{model}-usage-gzip-split", stream=True)) as response:
        return b"".join([data async for data in response.content.iter_any()])


@case
async def aiohttp_stream_chunks(base: str, model: str) -> Any:
    async with posted(base, chat_body(f"{model}-usage", stream=True)) as response:
        chunks = [chunk async for chunk in response.content.iter_chunks()]
        return b"".join(data for data, _ in chunks), chunks[-1][1]  # where they are cut hangs on timing


@case
async def aiohttp_stream_chunked(base: str, model: str) -> Any:
    body = chat_body(f"{model}-usage-gzip", stream=True)
    async with posted(base, body, auto_decompress=False) as response:
        return b"".join([data async for data in response.content.iter_chunked(7)])[-8:]


@case
async def aiohttp_broken_off(base: str, model: str) -> Any:
    async with posted(base, chat_body(f"{model}-stall", stream=True)) as response:
        return await response.content.readline()


@case
async def aiohttp_closed(base: str, model: str) -> Any:
    async with posted(base, chat_body(f"{model}-stall", stream=True)) as response:
        await response.content.readline()
        response.close()
        return await raised(response.content.read()), response.closed


@case
async def aiohttp_timeout(base: str, model: str) -> Any:
    async def ask() -> Any:
        timeout = aiohttp.ClientTimeout(total=0.2)
        async with posted(base, chat_body(f"{model}-stall", stream=True), timeout=timeout) as response:
            return [line async for line in response.content]

    return await raised(ask())


@case
async def aiohttp_cancelled(base: str, model: str) -> Any:
    async def ask() -> None:
        async with posted(base, chat_body(f"{model}-stall", stream=True)) as response:
            await response.read()

    task = asyncio.create_task(ask())
    await asyncio.sleep(0.2)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    return task.cancelled()


@case
async def aiohttp_reset(base: str, model: str) -> Any:
    async with posted(base, chat_body(f"{model}-reset", stream=True)) as response:
        return await raised(response.read())


@case
async def aiohttp_nobody_there(base: str, model: str) -> Any:
    async def ask() -> Any:
        async with posted(base, chat_body(model), url="http://127.0.0.1:9/v1/chat/completions") as response:
            return response.status

    return (await raised(ask()))[0]


@case
async def aiohttp_refused(base: str, model: str) -> Any:
    async with posted(base, chat_body(f"{model}-refuse")) as response:
        return response.status, await response.json(), response.headers["retry-after"]


@case
async def aiohttp_generator(base: str, model: str) -> Any:
    async def pieces() -> AsyncIterator[bytes]:
        for half in halves(encoded(model)):
            yield half

    async with aiohttp.ClientSession() as session, session.post(chat(base), data=pieces()) as response:
        return await response.json()


@case
async def aiohttp_memory_file(base: str, model: str) -> Any:
    data = io.BytesIO(encoded(model))
    async with aiohttp.ClientSession() as session, session.post(chat(base), data=data) as response:
        return await response.json()


@case
async def chat_over_aiohttp(base: str, model: str) -> Any:
    async with (
        openai.DefaultAioHttpClient() as http_client,
        openai.AsyncOpenAI(base_url=base, api_key="secret-key", http_client=http_client) as sdk,
    ):
        stream = await sdk.chat.completions.create(model=f"{model}-usage", messages=MESSAGES, stream=True)
        return [chunk.model_dump() async for chunk in stream]


# httpx with bodies that are made while they are sent


@case
def httpx_generator(base: str, model: str) -> Any:
    with httpx.Client() as client:
        response = client.post(chat(base), content=halves(encoded(model)))
        return response.json(), type(response.request.stream), dict(response.request.headers)


@case
async def httpx2_generator_async(base: str, model: str) -> Any:
    async def pieces() -> AsyncIterator[bytes]:
        for half in halves(encoded(f"{model}-usage", stream=True)):
            yield half

    async with (
        httpx2.AsyncClient() as client,
        client.stream("POST", chat(base), content=pieces()) as response,
    ):
        return [line async for line in response.aiter_lines()]


@case
def httpx_zstd(base: str, model: str) -> Any:
    with httpx.Client() as client:
        return client.post(chat(base), json=chat_body(f"{model}-zstd")).json()


@case
def httpx2_br_stream(base: str, model: str) -> Any:
    body = chat_body(f"{model}-usage-br", stream=True)
    with httpx2.Client() as client, client.stream("POST", chat(base), json=body) as response:
        return list(response.iter_lines())


# Responses over a WebSocket


def socket_client(port: int) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="secret-key")


@case
def responses_socket(base: str, model: str) -> Any:
    kinds = []
    with SocketServer() as port, socket_client(port) as sdk, sdk.responses.connect() as link:
        for turn in ("Hi.", "And then?"):
            link.response.create(model=model, input=turn, instructions="Be brief.")
            for event in link:
                kinds.append((event.type, type(event)))
                if event.type == "response.completed":
                    break
    return kinds


@case
async def responses_socket_async(base: str, model: str) -> Any:
    kinds = []
    with SocketServer() as port:
        async with openai.AsyncOpenAI(
            base_url=f"http://127.0.0.1:{port}/v1", api_key="secret-key"
        ) as sdk, sdk.responses.connect() as link:  # fmt: skip
            await link.response.create(model=model, input="Hi.", stream_id="a")
            async for event in link:
                kinds.append(event.type)
                if event.type == "response.completed":
                    break
    return kinds


@case
def responses_socket_closed(base: str, model: str) -> Any:
    with SocketServer() as port, socket_client(port) as sdk, sdk.responses.connect() as link:
        link.response.create(model=f"{model}-stall", input="Hi.")
        return link.recv().type


@case
def responses_socket_lost(base: str, model: str) -> Any:
    with SocketServer() as port, socket_client(port) as sdk, sdk.responses.connect() as link:
        link.response.create(model=f"{model}-lost", input="Hi.")
        return link.recv().type, outcome(link.recv)[0]


@case
def responses_socket_failed(base: str, model: str) -> Any:
    with SocketServer() as port, socket_client(port) as sdk, sdk.responses.connect() as link:
        link.response.create(model=f"{model}-fail", input="Hi.")
        return link.recv().type
