import threading
from types import SimpleNamespace

import pytest


@pytest.fixture(scope="session")
def weights(tmp_path_factory):
    pytest.importorskip("xllamacpp", reason="needs tracekit-replay[demo]")
    pytest.importorskip("gguf", reason="needs tracekit-replay[demo]")
    from tracekit.demo.training import ensured_weights

    return ensured_weights(tmp_path_factory.mktemp("weights") / "demo.gguf")


@pytest.fixture(scope="session")
def engine(weights):
    from tracekit.demo.engine import Engine

    engine = Engine(weights)
    yield engine
    engine.close()


@pytest.fixture(scope="session")
def gateway(engine):
    from tracekit.demo.gateway import Gateway

    with Gateway(engine) as gateway:
        serving = threading.Thread(target=gateway.serve_forever, kwargs={"poll_interval": 0.05})
        serving.start()
        yield SimpleNamespace(base_url=gateway.base_url, root=gateway.base_url.removesuffix("/v1"))
        gateway.shutdown()
        serving.join()


@pytest.fixture
def client(gateway):
    openai = pytest.importorskip("openai", reason="needs tracekit-replay[demo]")
    with openai.OpenAI(base_url=gateway.base_url, api_key="demo", max_retries=0) as client:
        yield client
