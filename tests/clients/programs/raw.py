"""Clients without an SDK: httpx, httpx2, requests, urllib3, aiohttp, urllib, http.client, curl, a socket."""

import asyncio
import http.client
import json
import pickle
import subprocess
import threading
import urllib.error
import urllib.request

import aiohttp
import httpx
import httpx2
import requests
import urllib3
from casebook import KEY, base, case, main, show

USAGE = {"stream_options": {"include_usage": True}}
HEADERS = {"Authorization": "Bearer " + KEY}
JSON_HEADERS = dict(HEADERS, **{"Content-Type": "application/json"})


def url(path="/chat/completions"):
    """An address of the server."""
    return base() + path


def seen(status, headers, text):
    """What a client got of a whole answer."""
    return (
        status,
        headers.get("content-type"),
        headers.get("x-request-id"),
        len(text),
        json.loads(text).get("usage"),
    )


def heard(lines):
    """The text of a stream's lines, and how many there were."""
    text, count = "", 0
    for line in lines:
        line = line.decode() if isinstance(line, bytes) else line
        count += 1
        if line.startswith("data: {"):
            choices = json.loads(line[6:]).get("choices")
            text += (choices[0]["delta"].get("content") or "") if choices else "|usage"
    return text, count


# httpx and httpx2 have the same face


def httpx_cases(http, name):
    """Cases of one of the two."""

    def add(function, **promise):
        function.__name__ = name + "_" + function.__name__
        case(**promise)(function)

    def post(ask):
        response = http.post(url(), json=ask.chat(), headers=HEADERS)
        show(
            seen(response.status_code, response.headers, response.text),
            type(response).__name__,
            response.http_version,
        )

    def client(ask):
        with http.Client(headers=HEADERS) as client:
            request = client.build_request("POST", url(), json=ask.chat())
            response = client.send(request)
            show(
                response.request is request,
                response.is_closed,
                response.elapsed.total_seconds() > 0.02,
                len(response.history),
            )

    def stream_lines(ask):
        with http.stream("POST", url(), json=ask.chat(stream=True, **USAGE), headers=HEADERS) as response:
            show(response.num_bytes_downloaded, heard(response.iter_lines()), response.is_stream_consumed)

    def stream_raw(ask):
        with http.stream("POST", url(), json=ask.chat(stream=True, **USAGE), headers=HEADERS) as response:
            data = b"".join(response.iter_raw())
            show(len(data), data.count(b"data:"), response.num_bytes_downloaded)

    def stream_read(ask):
        with http.stream("POST", url(), json=ask.chat(stream=True), headers=HEADERS) as response:
            show(len(response.read()), response.is_closed)

    def stream_broken_off(ask):
        with http.stream(
            "POST", url(), json=ask.chat("<<chunks 30>>", stream=True), headers=HEADERS
        ) as response:
            for index, _ in enumerate(response.iter_bytes()):
                if index == 4:
                    break
        show(response.is_closed)

    def br(ask):
        response = http.post(url(), json=ask.chat("<<br>>"), headers=HEADERS)
        show(response.headers["content-encoding"], seen(200, response.headers, response.text))

    def br_stream(ask):
        with http.stream(
            "POST", url(), json=ask.chat("<<br>>", stream=True, **USAGE), headers=HEADERS
        ) as response:
            show(response.headers["content-encoding"], heard(response.iter_lines()))

    def gzip_stream_raw(ask):
        with http.stream(
            "POST", url(), json=ask.chat("<<gzip>>", stream=True, **USAGE), headers=HEADERS
        ) as response:
            show(response.headers["content-encoding"], b"".join(response.iter_raw())[:2] == b"\x1f\x8b")

    def body_bytes(ask):
        response = http.post(url(), content=json.dumps(ask.chat()).encode(), headers=JSON_HEADERS)
        show(response.json()["usage"]["prompt_tokens"])

    def body_generator(ask):
        data = json.dumps(ask.chat()).encode()
        response = http.post(
            url(), content=(data[i : i + 40] for i in range(0, len(data), 40)), headers=JSON_HEADERS
        )
        show(response.json()["usage"]["prompt_tokens"])

    def own_transport(ask):
        class Mine(http.HTTPTransport):
            def handle_request(self, request):
                response = super().handle_request(request)
                response.headers["x-mine"] = "1"
                return response

        with http.Client(transport=Mine(retries=1), headers=HEADERS) as client:
            response = client.post(url(), json=ask.chat())
            show(
                response.headers["x-mine"],
                type(client._transport).__name__,
                response.json()["usage"]["prompt_tokens"],
            )

    def mock_transport(ask):
        def answer(request):
            usage = {"prompt_tokens": 111, "completion_tokens": 22, "total_tokens": 133}
            choice = {
                "index": 0,
                "message": {"role": "assistant", "content": "mock"},
                "finish_reason": "stop",
            }
            return http.Response(
                200, json={"id": "mock", "model": ask.model, "choices": [choice], "usage": usage}
            )

        with http.Client(transport=http.MockTransport(answer)) as client:
            show(
                client.post("http://mock/v1/chat/completions", json=ask.chat()).json()["choices"][0][
                    "message"
                ]["content"]
            )

    def event_hooks(ask):
        order = []
        hooks = {
            "request": [lambda r: order.append("request")],
            "response": [lambda r: order.append(r.read()[:1])],
        }
        with http.Client(event_hooks=hooks, headers=HEADERS) as client:
            show(client.post(url(), json=ask.chat()).status_code, order)

    def pickled(ask):
        response = pickle.loads(pickle.dumps(http.post(url(), json=ask.chat(), headers=HEADERS)))
        show(response.status_code, response.json()["usage"]["prompt_tokens"])

    async def post_async(ask):
        async with http.AsyncClient(headers=HEADERS) as client:
            response = await client.post(url(), json=ask.chat())
            show(seen(response.status_code, response.headers, response.text))

    async def stream_async(ask):
        async with http.AsyncClient(headers=HEADERS) as client:
            async with client.stream("POST", url(), json=ask.chat(stream=True, **USAGE)) as response:
                show(heard([line async for line in response.aiter_lines()]))

    async def stream_async_broken_off(ask):
        async with http.AsyncClient(headers=HEADERS) as client:
            async with client.stream("POST", url(), json=ask.chat("<<chunks 30>>", stream=True)) as response:
                async for _ in response.aiter_bytes():
                    break
        show(response.is_closed)

    async def stream_async_cancelled(ask):
        begun = asyncio.Event()

        async def read():
            async with http.AsyncClient(headers=HEADERS) as client:
                async with client.stream(
                    "POST", url(), json=ask.chat("<<chunks 90>>", stream=True)
                ) as response:
                    async for _ in response.aiter_bytes():
                        begun.set()

        task = asyncio.ensure_future(read())
        await begun.wait()
        task.cancel()
        try:
            await task
        except asyncio.CancelledError:
            show("cancelled")

    def error_400(ask):
        response = http.post(url(), json=ask.chat("<<400>>"), headers=HEADERS)
        show(response.status_code, response.json()["error"]["code"])

    def reset(ask):
        with http.stream("POST", url(), json=ask.chat("<<reset>>", stream=True), headers=HEADERS) as response:
            heard(response.iter_lines())

    def stall(ask):
        with http.stream(
            "POST", url(), json=ask.chat("<<stall>>", stream=True), headers=HEADERS, timeout=1
        ) as response:
            heard(response.iter_lines())

    def connect_error(ask):
        http.post("http://127.0.0.1:9/v1/chat/completions", json=ask.chat(), timeout=2)

    def redirected_get(ask):
        show(http.get(base() + "/models", headers=HEADERS).json()["data"][0]["id"])

    add(redirected_get, calls=0)
    for function in (
        post,
        client,
        stream_lines,
        stream_raw,
        stream_read,
        br,
        br_stream,
        gzip_stream_raw,
        body_bytes,
    ):
        add(function)
    for function in (
        body_generator,
        own_transport,
        event_hooks,
        pickled,
        post_async,
        stream_async,
        error_400,
        reset,
    ):
        add(function)
    for function in (stream_broken_off, stream_async_broken_off, stream_async_cancelled, stall):
        add(function, unread=True)
    add(connect_error, calls=1)
    add(mock_transport, calls=1)


httpx_cases(httpx, "httpx")
httpx_cases(httpx2, "httpx2")


@case()
def requests_post(ask):
    response = requests.post(url(), json=ask.chat(), headers=HEADERS)
    show(seen(response.status_code, response.headers, response.text), response.elapsed.total_seconds() > 0.02)


@case()
def requests_session(ask):
    with requests.Session() as session:
        session.headers.update(HEADERS)
        for who in "ab":
            response = session.post(url(), data=json.dumps(ask.chat(who=who)), headers=JSON_HEADERS)
            show(response.json()["usage"]["prompt_tokens"], type(response.raw).__name__, response.raw.closed)


@case()
def requests_stream_lines(ask):
    with requests.post(url(), json=ask.chat(stream=True, **USAGE), headers=HEADERS, stream=True) as response:
        show(type(response.raw).__module__, heard(response.iter_lines()))


@case()
def requests_stream_content(ask):
    with requests.post(url(), json=ask.chat(stream=True, **USAGE), headers=HEADERS, stream=True) as response:
        show(len(b"".join(response.iter_content(chunk_size=None))), response.raw.tell() > 0)


@case()
def requests_stream_one_byte(ask):
    with requests.post(url(), json=ask.chat(stream=True, **USAGE), headers=HEADERS, stream=True) as response:
        show(len(b"".join(response.iter_content(chunk_size=1))))


@case()
def requests_stream_gzip(ask):
    with requests.post(
        url(), json=ask.chat("<<gzip>>", stream=True, **USAGE), headers=HEADERS, stream=True
    ) as response:
        show(response.headers["content-encoding"], heard(response.iter_lines()))


@case()
def requests_raw_read(ask):
    with requests.post(url(), json=ask.chat(), headers=HEADERS, stream=True) as response:
        show(len(response.raw.read()), response.raw.status)


@case(unread=True)
def requests_stream_broken_off(ask):
    with requests.post(
        url(), json=ask.chat("<<chunks 30>>", stream=True), headers=HEADERS, stream=True
    ) as response:
        for index, _ in enumerate(response.iter_lines()):
            if index == 6:
                break
    show(response.status_code)


@case(unread=True)
def requests_never_read(ask):
    show(
        requests.post(
            url(), json=ask.chat("<<chunks 5>>", stream=True), headers=HEADERS, stream=True
        ).status_code
    )


@case()
def requests_retry_429(ask):
    retry = urllib3.Retry(
        total=2,
        status_forcelist=[429, 500],
        allowed_methods=None,
        backoff_factor=0,
        respect_retry_after_header=False,
    )
    with requests.Session() as session:
        session.mount("http://", requests.adapters.HTTPAdapter(max_retries=retry))
        show(
            session.post(url(), json=ask.chat("<<429-once>>"), headers=HEADERS).json()["usage"][
                "prompt_tokens"
            ]
        )


@case()
def requests_error_500(ask):
    response = requests.post(url(), json=ask.chat("<<500>>"), headers=HEADERS)
    show(response.status_code, response.ok)
    response.raise_for_status()


@case()
def requests_timeout(ask):
    requests.post(url(), json=ask.chat("<<stall-headers>>"), headers=HEADERS, timeout=1)


@case()
def requests_reset(ask):
    with requests.post(
        url(), json=ask.chat("<<reset>>", stream=True), headers=HEADERS, stream=True
    ) as response:
        heard(response.iter_lines())


@case(calls=1)
def requests_connect_error(ask):
    requests.post("http://127.0.0.1:9/v1/chat/completions", json=ask.chat(), timeout=2)


@case()
def requests_pickled(ask):
    response = pickle.loads(pickle.dumps(requests.post(url(), json=ask.chat(), headers=HEADERS)))
    show(response.json()["usage"]["prompt_tokens"])


@case()
def urllib3_request(ask):
    pool = urllib3.PoolManager()
    response = pool.request("POST", url(), body=json.dumps(ask.chat()), headers=JSON_HEADERS)
    show(response.status, response.json()["usage"]["prompt_tokens"], type(response).__name__)


@case()
def urllib3_stream(ask):
    pool = urllib3.PoolManager()
    response = pool.request(
        "POST",
        url(),
        body=json.dumps(ask.chat(stream=True, **USAGE)),
        headers=JSON_HEADERS,
        preload_content=False,
    )
    show(heard(b"".join(response.stream()).splitlines()))
    response.release_conn()


@case()
def urllib3_read_chunked(ask):
    pool = urllib3.PoolManager()
    response = pool.request(
        "POST",
        url(),
        body=json.dumps(ask.chat(stream=True, **USAGE)),
        headers=JSON_HEADERS,
        preload_content=False,
    )
    show(heard(b"".join(response.read_chunked()).splitlines()))


@case()
def urllib3_keep_alive(ask):
    pool = urllib3.HTTPConnectionPool(*base().split("/")[2].split(":"))
    path = "/" + url().split("/", 3)[3]
    for who in "abc":
        response = pool.urlopen("POST", path, body=json.dumps(ask.chat(who=who)), headers=JSON_HEADERS)
        show(response.status, pool.num_connections, json.loads(response.data)["usage"]["prompt_tokens"])


@case()
async def aiohttp_post(ask):
    async with (
        aiohttp.ClientSession(headers=HEADERS) as session,
        session.post(url(), json=ask.chat()) as response,
    ):
        show(
            response.status,
            type(response).__name__,
            (await response.json())["usage"]["prompt_tokens"],
            response.headers["x-request-id"],
        )


@case()
async def aiohttp_text_after(ask):
    async with aiohttp.ClientSession(headers=HEADERS) as session:
        response = await session.post(url(), json=ask.chat())
        text = await response.text()
        show(len(text), response.closed)


@case()
async def aiohttp_stream_lines(ask):
    async with aiohttp.ClientSession(headers=HEADERS) as session:
        async with session.post(url(), json=ask.chat(stream=True, **USAGE)) as response:
            show(type(response.content).__name__, heard([line.rstrip() async for line in response.content]))


@case()
async def aiohttp_stream_chunks(ask):
    async with aiohttp.ClientSession(headers=HEADERS) as session:
        async with session.post(url(), json=ask.chat(stream=True, **USAGE)) as response:
            parts = [(len(data) > 0, end) async for data, end in response.content.iter_chunks()]
            show(all(parts))


@case()
async def aiohttp_stream_any(ask):
    async with aiohttp.ClientSession(headers=HEADERS) as session:
        async with session.post(url(), json=ask.chat(stream=True, **USAGE)) as response:
            data = b""
            async for part in response.content.iter_any():
                data += part
            show(heard(data.splitlines()))


@case()
async def aiohttp_readline(ask):
    async with aiohttp.ClientSession(headers=HEADERS) as session:
        async with session.post(url(), json=ask.chat(stream=True, **USAGE)) as response:
            lines = []
            while line := await response.content.readline():
                lines.append(line)
            show(heard(lines), response.content.at_eof())


@case()
async def aiohttp_gzip(ask):
    async with aiohttp.ClientSession(headers=HEADERS) as session:
        async with session.post(url(), json=ask.chat("<<gzip>>", stream=True, **USAGE)) as response:
            show(response.headers["content-encoding"], heard((await response.read()).splitlines()))


@case(unread=True)
async def aiohttp_broken_off(ask):
    async with aiohttp.ClientSession(headers=HEADERS) as session:
        async with session.post(url(), json=ask.chat("<<chunks 30>>", stream=True)) as response:
            async for _ in response.content:
                break
    show(response.status)


@case(branches=True)
async def aiohttp_together(ask):
    async with aiohttp.ClientSession(headers=HEADERS) as session:

        async def one(who):
            async with session.post(
                url(), data=json.dumps(ask.chat(who=who)), headers=JSON_HEADERS
            ) as response:
                return (await response.json())["usage"]["prompt_tokens"]

        show(await asyncio.gather(*(one(who) for who in "abcde")))


@case()
async def aiohttp_error(ask):
    async with aiohttp.ClientSession(headers=HEADERS, raise_for_status=True) as session:
        await session.post(url(), json=ask.chat("<<500>>"))


@case()
async def aiohttp_timeout(ask):
    timeout = aiohttp.ClientTimeout(total=1)
    async with aiohttp.ClientSession(headers=HEADERS, timeout=timeout) as session:
        await session.post(url(), json=ask.chat("<<stall-headers>>"))


@case()
async def aiohttp_reset(ask):
    async with aiohttp.ClientSession(headers=HEADERS) as session:
        async with session.post(url(), json=ask.chat("<<reset>>", stream=True)) as response:
            async for _ in response.content:
                pass


@case()
async def aiohttp_trace_config(ask):
    order = []

    async def note(session, context, params):
        order.append(type(params).__name__)

    config = aiohttp.TraceConfig()
    config.on_request_start.append(note)
    config.on_request_end.append(note)
    async with aiohttp.ClientSession(headers=HEADERS, trace_configs=[config]) as session:
        async with session.post(url(), json=ask.chat()) as response:
            show(len(await response.read()), order)


def urllib_request(ask, directives="", **more):
    """A request for urllib."""
    return urllib.request.Request(url(), json.dumps(ask.chat(directives, **more)).encode(), JSON_HEADERS)


@case()
def urllib_post(ask):
    with urllib.request.urlopen(urllib_request(ask)) as response:
        show(type(response).__name__, seen(response.status, response.headers, response.read().decode()))


@case()
def urllib_json_load(ask):
    with urllib.request.urlopen(urllib_request(ask)) as response:
        show(json.load(response)["usage"]["prompt_tokens"])


@case()
def urllib_stream(ask):
    with urllib.request.urlopen(urllib_request(ask, stream=True, **USAGE)) as response:
        show(heard(line.rstrip() for line in response))


@case()
def urllib_stream_readline(ask):
    with urllib.request.urlopen(urllib_request(ask, stream=True, **USAGE)) as response:
        show(heard(iter(response.readline, b"")))


@case()
def urllib_read_pieces(ask):
    with urllib.request.urlopen(urllib_request(ask)) as response:
        show(len(b"".join(iter(lambda: response.read(50), b""))))


@case()
def urllib_stream_read1(ask):
    with urllib.request.urlopen(urllib_request(ask, stream=True, **USAGE)) as response:
        show(len(b"".join(iter(response.read1, b""))))


@case()
def urllib_readinto(ask):
    buffer = bytearray(100_000)
    with urllib.request.urlopen(urllib_request(ask)) as response:
        total = 0
        while count := response.readinto(memoryview(buffer)[total:]):
            total += count
        show(json.loads(buffer[:total])["usage"]["prompt_tokens"])


@case(unread=True)
def urllib_broken_off(ask):
    with urllib.request.urlopen(urllib_request(ask, "<<chunks 30>>", stream=True)) as response:
        show(response.readline()[:5])


@case()
def urllib_error(ask):
    try:
        urllib.request.urlopen(urllib_request(ask, "<<400>>"))
    except urllib.error.HTTPError as error:
        show(error.code, json.loads(error.read())["error"]["code"])


@case()
def urllib_timeout(ask):
    urllib.request.urlopen(urllib_request(ask, "<<stall-headers>>"), timeout=1)


def connection():
    """A connection and the path of chat completions."""
    host, _, path = url().split("/", 2)[2].partition("/")
    return http.client.HTTPConnection(host), "/" + path


@case()
def http_client_request(ask):
    link, path = connection()
    for who in "ab":
        link.request("POST", path, json.dumps(ask.chat(who=who)), JSON_HEADERS)
        response = link.getresponse()
        show(seen(response.status, response.headers, response.read().decode()), response.isclosed())
    link.close()


@case()
def http_client_by_hand(ask):
    link, path = connection()
    data = json.dumps(ask.chat(stream=True, **USAGE)).encode()
    link.putrequest("POST", path)
    for name, value in dict(JSON_HEADERS, **{"Content-Length": str(len(data))}).items():
        link.putheader(name, value)
    link.endheaders()
    link.send(data[:50])
    link.send(data[50:])
    response = link.getresponse()
    show(heard(response.fp and response.read().splitlines()))
    link.close()


@case()
def http_client_body_file(ask):
    import io

    link, path = connection()
    data = json.dumps(ask.chat()).encode()
    link.request("POST", path, io.BytesIO(data), dict(JSON_HEADERS, **{"Content-Length": str(len(data))}))
    show(json.loads(link.getresponse().read())["usage"]["prompt_tokens"])


@case()
def http_client_other_paths(ask):
    link, path = connection()
    prefix = path[: -len("/chat/completions")]
    for last, body in {
        "/completions": {"prompt": ask.prompt()},
        "/embeddings": {"input": ask.prompt()},
        "/responses": {"input": ask.prompt()},
        "/messages": {"messages": ask.messages(), "max_tokens": 50},
    }.items():
        link.request("POST", prefix + last, json.dumps(dict(body, model=ask.model)), JSON_HEADERS)
        show(json.loads(link.getresponse().read())["usage"])


@case(calls=0)
def not_an_llm(ask):
    body = {"model": "airplane", "color": "red"}
    show(httpx.post(base() + "/models/search", json=body).status_code)
    show(requests.post(base() + "/anything", json={"messages": ["hi"]}).status_code)


PROXY_ONLY = {"default": "not Python: curl", "inject": "not Python: curl"}


def curl(ask, *flags, **more):
    """The output of curl."""
    command = [
        "curl",
        "-sS",
        *flags,
        url(),
        "-H",
        "Authorization: Bearer " + KEY,
        "-H",
        "Content-Type: application/json",
    ]
    done = subprocess.run(
        [*command, "-d", json.dumps(ask.chat(**more))], capture_output=True, text=True, check=False
    )
    return done.stdout if done.returncode == 0 else done.stderr


@case(unseen=PROXY_ONLY, told=True)
def curl_post(ask):
    show(json.loads(curl(ask))["usage"])


@case(unseen=PROXY_ONLY, told=True)
def curl_stream(ask):
    show(heard(curl(ask, "-N", stream=True, **USAGE).splitlines()))


@case(unseen={"default": "a bare socket", "inject": "a bare socket"})
def bare_socket(ask):
    import socket

    host, _, path = url().split("/", 2)[2].partition("/")
    name, port = host.split(":")
    data = json.dumps(ask.chat()).encode()
    with socket.create_connection((name, int(port))) as link:
        head = "POST /{} HTTP/1.1\r\nHost: {}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n".format(
            path, host, len(data)
        )
        link.sendall(head.encode() + data)
        answer = b"".join(iter(lambda: link.recv(65536), b""))
    show(b"prompt_tokens" in answer)


@case(branches=True)
def threads_of_all(ask):
    clients, start = (httpx.Client(), httpx2.Client(), requests.Session()), threading.Barrier(4)
    jobs = {
        "httpx": lambda: clients[0].post(url(), json=ask.chat(who="httpx")).json(),
        "httpx2": lambda: clients[1].post(url(), json=ask.chat(who="httpx2")).json(),
        "requests": lambda: clients[2].post(url(), json=ask.chat(who="requests")).json(),
        "urllib": lambda: json.load(urllib.request.urlopen(urllib_request(ask, who="urllib"))),
    }
    results = {}

    def one(name):
        start.wait()
        results[name] = jobs[name]()["usage"]["prompt_tokens"]

    workers = [threading.Thread(target=one, args=(name,)) for name in jobs]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    show(sorted(results.items()))


if __name__ == "__main__":
    main()
