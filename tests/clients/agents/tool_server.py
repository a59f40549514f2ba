"""A model that asks for `search` and `read` at once, twice, and then answers; chat completions and Responses.

`python tool_server.py PORT` serves until it is killed. How far a conversation is, it sees from the tool results
in the request; where a client writes those as plain text, from the texts of the tools themselves.
"""

import json
import sys
import time
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ROUNDS = 2
FIRST_BYTE_S = 0.03
TOOLS = ("search", "read")
ARGUMENTS = {"query": "agents", "page": "one", "input": "one"}  # an agent as a tool takes `input`
USAGE = {"prompt_tokens": 50, "completion_tokens": 9, "total_tokens": 59}
ANSWER = "It is forty-two, as the library says."


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_args):
        pass

    def do_GET(self):
        self._send_json({"object": "list", "data": [{"id": "gpt-4o-mini", "object": "model"}]})

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        time.sleep(FIRST_BYTE_S)
        if self.path.endswith("/embeddings"):
            self._send_json({"object": "list", "data": [{"index": 0, "embedding": [0.1] * 8, "object": "embedding"}],
                             "model": "e", "usage": {"prompt_tokens": 4, "total_tokens": 4}})  # fmt: skip
        elif self.path.endswith("/responses"):
            self._responses(body)
        else:
            self._chat(body)

    def _chat(self, body):
        calls = wanted(body, body["messages"])
        message = {"role": "assistant", "content": None if calls else final(body)}
        if calls:
            message["tool_calls"] = [
                {"id": new_id("call"), "type": "function", "function": {"name": name, "arguments": arguments}}
                for name, arguments in calls
            ]
        base = {"id": new_id("chatcmpl"), "created": int(time.time()), "model": body.get("model")}
        reason = "tool_calls" if calls else "stop"
        if not body.get("stream"):
            choice = {"index": 0, "message": message, "finish_reason": reason}
            self._send_json(base | {"object": "chat.completion", "choices": [choice], "usage": USAGE})
            return
        delta = dict(message)
        for index, call in enumerate(delta.get("tool_calls", ())):
            call["index"] = index
        chunk = base | {"object": "chat.completion.chunk"}
        events = [
            chunk | {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]},
            chunk | {"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]},
        ]
        if (body.get("stream_options") or {}).get("include_usage"):
            events.append(chunk | {"choices": [], "usage": USAGE})
        self._send_events([(None, event) for event in events] + [(None, "[DONE]")])

    def _responses(self, body):
        given = body.get("input")
        items = given if isinstance(given, list) else [{"role": "user", "content": given}]
        calls = wanted(body, items)
        output = [
            {"type": "function_call", "id": new_id("fc"), "call_id": new_id("call"), "name": name,
             "arguments": arguments, "status": "completed"}
            for name, arguments in calls
        ] or [
            {"type": "message", "id": new_id("msg"), "role": "assistant", "status": "completed",
             "content": [{"type": "output_text", "text": final(body), "annotations": []}]}
        ]  # fmt: skip
        response = {
            "id": new_id("resp"), "object": "response", "created_at": int(time.time()), "status": "completed",
            "model": body.get("model"), "output": output, "parallel_tool_calls": True, "tools": [],
            "tool_choice": "auto", "error": None, "incomplete_details": None, "instructions": None, "metadata": {},
            "usage": {"input_tokens": 50, "output_tokens": 9, "total_tokens": 59,
                      "input_tokens_details": {"cached_tokens": 0}, "output_tokens_details": {"reasoning_tokens": 0}},
        }  # fmt: skip
        if not body.get("stream"):
            self._send_json(response)
            return
        events = [("response.created", {"response": response | {"status": "in_progress", "output": []}})]
        for index, item in enumerate(output):
            events += [
                ("response.output_item.added", {"output_index": index, "item": item}),
                ("response.output_item.done", {"output_index": index, "item": item}),
            ]
        events.append(("response.completed", {"response": response}))
        self._send_events(
            [(name, {"type": name, "sequence_number": i} | event) for i, (name, event) in enumerate(events)]
        )

    def _send_json(self, value):
        data = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _send_events(self, events):
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        for name, event in events:
            text = event if isinstance(event, str) else json.dumps(event)
            self.wfile.write(((f"event: {name}\n" if name else "") + f"data: {text}\n\n").encode())
            self.wfile.flush()
        self.close_connection = True


def wanted(body, messages):
    """The tools to ask for now, with arguments; none once each was used often enough, or where none are offered."""
    offered = {}
    for tool in body.get("tools") or ():
        function = tool.get("function", tool)
        properties = (function.get("parameters") or {}).get("properties", {})
        offered[function.get("name")] = json.dumps(
            {name: value for name, value in ARGUMENTS.items() if name in properties}
        )
    done = sum(m.get("role") == "tool" or m.get("type") == "function_call_output" for m in messages)
    if not done:
        told = json.dumps(messages)
        done = told.count("found agents") + told.count("text of one")
    if not offered or done >= ROUNDS * len(offered.keys() & set(TOOLS)):
        return [("final_answer", json.dumps({"answer": ANSWER}))] if "final_answer" in offered else []
    return [(name, offered[name]) for name in TOOLS if name in offered]


def final(body):
    """The last answer."""
    return ANSWER


def new_id(kind):
    return f"{kind}_{uuid.uuid4().hex[:16]}"


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler)
    server.daemon_threads = True
    print(server.server_port, flush=True)
    server.serve_forever()
