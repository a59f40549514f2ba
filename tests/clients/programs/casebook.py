"""How a program states its cases. Standard library only: it runs in the client's environment.

`python PROGRAM --list` prints the cases as JSON; `python PROGRAM CASE...` runs them, each with a model of its own
(`CLIENTS_PREFIX` + name), so that what the server and the trace know can be told apart.
"""

import asyncio
import inspect
import json
import os
import sys
import time
import traceback

CASES = {}
SERVER = os.environ.get("CLIENTS_SERVER", "")  # the server itself, never a proxy
PREFIX = os.environ.get("CLIENTS_PREFIX", "case-")
KEY = "sk-clients-not-to-be-stored"
SECRET = "violet otter"  # in every prompt; nothing of it may be in a trace
TOOL_SECONDS = 0.3
LOOP = asyncio.new_event_loop()  # one for all cases: frameworks keep clients, and those keep their loop


def base():
    """The address a program reads from its environment, as agents do; a proxy may have changed it."""
    return os.environ.get("OPENAI_BASE_URL", SERVER + "/v1")


def case(**promise):
    """A decorator: the function is a case, and this is what its trace has to hold. See judge.py."""

    def add(function):
        name = function.__name__.strip("_").replace("_", "-")
        CASES[name] = (function, promise)
        return function

    return add


class Ask:
    """What a case is given: its model and its prompts."""

    current = None

    def __init__(self, name, model=None):
        self.name = name
        self.model = model or PREFIX + name

    def prompt(self, directives="", who=""):
        """A prompt of this case alone, with its secret; `who` tells conversations of one case apart."""
        text = "{} asks {}{}: what is the weather?".format(SECRET, self.name, who)
        return "{} {}".format(text, directives) if directives else text

    def messages(self, directives="", who=""):
        """The prompt as chat messages."""
        return [{"role": "user", "content": self.prompt(directives, who)}]

    def chat(self, directives="", who="", **more):
        """A body for chat completions."""
        return dict({"model": self.model, "messages": self.messages(directives, who)}, **more)


def work(name, city):
    """A tool at work, for TOOL_SECONDS; its true start and end go to the log of tools."""
    start = time.monotonic_ns()
    time.sleep(TOOL_SECONDS)
    note_tool(name, start)
    return "{} in {}: fine".format(name, city)


async def work_async(name, city):
    """As `work`, without blocking the loop."""
    start = time.monotonic_ns()
    await asyncio.sleep(TOOL_SECONDS)
    note_tool(name, start)
    return "{} in {}: fine".format(name, city)


def note_tool(name, start_monotonic_ns):
    """One line in the log of tools, on the server's clock."""
    offset = int(os.environ["CLIENTS_EPOCH_OFFSET_NS"])
    end = time.monotonic_ns() + offset
    note = {"case": Ask.current, "name": name, "start_ns": start_monotonic_ns + offset, "end_ns": end}
    with open(os.environ["CLIENTS_TOOLS"], "a") as log:
        log.write(json.dumps(note) + "\n")


def get_weather(city: str) -> str:
    """Get the weather of a city."""
    return work("get_weather", city)


def get_time(city: str) -> str:
    """Get the time of a city."""
    return work("get_time", city)


TOOL_FUNCTIONS = {"get_weather": get_weather, "get_time": get_time}
TWO_TOOLS = "<<tools get_weather get_time>>"
CITY = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
CHAT_TOOLS = [
    {"type": "function", "function": {"name": name, "description": name, "parameters": CITY}}
    for name in TOOL_FUNCTIONS
]
RESPONSE_TOOLS = [
    {"type": "function", "name": name, "description": name, "parameters": CITY, "strict": True}
    for name in TOOL_FUNCTIONS
]


def show(*values):
    """Print what the client got; a recorder must not change it."""
    print(*values, flush=True)


def run_one(name):
    """Run one case; what it raises is part of what it prints."""
    function, promise = CASES[name]
    Ask.current = name
    ask = Ask(name, promise.get("model"))
    show("=== " + name)
    try:
        result = function(ask)
        if inspect.iscoroutine(result):
            LOOP.run_until_complete(result)
    except SystemExit:
        raise
    except BaseException as error:
        show(
            "raised",
            type(error).__module__,
            type(error).__qualname__,
            str(error)[:300],
        )
        if os.environ.get("CLIENTS_DEBUG"):
            traceback.print_exc()


def main():
    """Run the cases named on the command line."""
    if sys.argv[1:] == ["--list"]:
        print(json.dumps({name: promise for name, (_, promise) in CASES.items()}))
        return
    for name in sys.argv[1:]:
        run_one(name)
    LOOP.run_until_complete(LOOP.shutdown_asyncgens())
    LOOP.close()
