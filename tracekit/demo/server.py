"""The demo's endpoint as a process of its own.

    python -m tracekit.demo.server --port 0

prints one JSON line {"base_url": ..., "model": ...} when it is ready and serves until SIGTERM or Ctrl-C.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import threading
from pathlib import Path

from tracekit.demo.engine import Engine
from tracekit.demo.extra import DemoExtraError
from tracekit.demo.gateway import Gateway
from tracekit.demo.labels import MODELS, SMOLLM2, Model
from tracekit.demo.smollm2 import Smollm2Missing, smollm2_weights
from tracekit.demo.template import CHAT_TEMPLATE
from tracekit.demo.training import ensured_weights


def serve(weights: Path, port: int, model: Model, *, until_stdin_closes: bool) -> None:
    """Serve the weights until the process is told to end."""
    engine = Engine(weights, template=CHAT_TEMPLATE) if model.is_sampled else Engine(weights)
    with Gateway(engine, port, model) as gateway:
        signal.signal(signal.SIGTERM, lambda *_: _end(gateway))
        signal.signal(signal.SIGINT, lambda *_: _end(gateway))
        if until_stdin_closes:
            threading.Thread(target=_follow_stdin, args=(gateway,), daemon=True).start()
        told = {"base_url": gateway.base_url, "model": model.identifier, "labels": model.labels}
        print(json.dumps(told), flush=True)
        gateway.serve_forever(poll_interval=0.1)
    engine.close()


def _end(gateway: Gateway) -> None:
    # shutdown() waits for serve_forever, which this very thread may be running
    threading.Thread(target=gateway.shutdown).start()


def _follow_stdin(gateway: Gateway) -> None:
    while os.read(sys.stdin.fileno(), 4096):  # unbuffered: a reader left at exit holds no lock
        pass
    gateway.shutdown()


def main() -> int:
    """Serve as the command line says; the process's exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m tracekit.demo.server", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--port", type=int, default=0, help="0 (the default) takes any free port")
    parser.add_argument("--model", choices=list(MODELS), default="random", help="default random")
    parser.add_argument("--weights", type=Path, help="written if absent (default: in the user's cache)")
    parser.add_argument("--until-stdin-closes", action="store_true", help="end when standard input does")
    options = parser.parse_args()
    try:
        model = MODELS[options.model]
        weights = smollm2_weights() if model is SMOLLM2 else ensured_weights(options.weights)
        serve(weights, options.port, model, until_stdin_closes=options.until_stdin_closes)
    except (DemoExtraError, Smollm2Missing) as missing:
        print(missing, file=sys.stderr)
        return missing.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
