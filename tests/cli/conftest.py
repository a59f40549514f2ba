"""A server to record against, and an agent to record."""

import pytest

from tests.unit.collectors.fake_server import FakeServer

AGENT = """\
import os, sys, httpx
base, models = sys.argv[1], sys.argv[2:]
for model in models:
    body = {"model": model, "messages": [{"role": "user", "content": "hi " + model}], "stream": model[0] == "s"}
    with httpx.stream("POST", base + "/chat/completions", json=body, timeout=60) as response:
        for index, _chunk in enumerate(response.iter_raw()):
            if index == 0 and model[0] == "s":
                print("streaming", os.getpid(), flush=True)
    print("done", model, flush=True)
"""


@pytest.fixture
def server():
    fake = FakeServer().start()
    yield fake
    fake.stop()


@pytest.fixture
def agent(tmp_path):
    path = tmp_path / "agent.py"
    path.write_text(AGENT)
    return path
