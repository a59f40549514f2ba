"""A server to record against, and an agent to record."""

import pytest

from tests.unit.collectors.fake_server import FakeServer

AGENT = """\
import os, sys, httpx
base, models = sys.argv[1], sys.argv[2:]
for model in models:
    body = {"model": model, "messages": [{"role": "user", "content": "hi " + model}], "stream": "stall" in model}
    with httpx.stream("POST", base + "/chat/completions", json=body, timeout=60) as response:
        if "stall" in model:
            next(response.iter_raw())
            print("streaming", os.getpid(), flush=True)
        response.read() if "stall" not in model else list(response.iter_raw())
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
