"""`tracekit demo`: a real agent on a real engine on this machine, recorded by `tracekit record` itself."""

from __future__ import annotations

import shlex
import subprocess
import sys
import threading
from contextlib import nullcontext
from pathlib import Path

import click

from tracekit.commands.options import FORCE, JSON

GPUS = ("A100-SXM-40GB", "L40S", "H100-SXM-80GB")
REPLICAS = 2


@click.command()
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    default=Path("demo-trace.parquet"),
    show_default=True,
    help="Trace to write.",
)
@click.option(
    "--sessions",
    type=click.IntRange(1, 100),
    default=6,
    show_default=True,
    help="Questions the agent answers.",
)
@click.option(
    "--concurrency", type=click.IntRange(1, 16), default=3, show_default=True, help="Sessions at once."
)
@click.option(
    "--fake-gpu",
    is_flag=True,
    help="Sample a fake GPU whose watts are made up, to see what measured power looks like.",
)
@FORCE
@JSON
def command(output: Path, sessions: int, concurrency: int, fake_gpu: bool, force: bool, as_json: bool) -> int:
    """Record a real agent here, then replay it on two replicas of three GPUs. Needs the extra `demo`.

    llama.cpp serves a small model with random weights on loopback; a script steers what it writes, so the
    agent's text is the same each time while prefill, decode, batching and KV cache are real.
    """
    from tracekit.commands.analyze import analysis
    from tracekit.commands.options import ASSUMED_MODEL, FleetChoice
    from tracekit.reports.document import to_json
    from tracekit.reports.terminal import print_analysis
    from tracekit.trace import Trace, check_output

    check_output(output, force=force)
    compiling = threading.Thread(
        target=_compile, daemon=True
    )  # meanwhile: the first time it takes longer than the demo
    compiling.start()
    code = _record(output, sessions, concurrency, fake_gpu=fake_gpu, force=force)
    compiling.join()
    if code:
        click.echo(
            f"tracekit: the demo's agent ended with code {code}; what was recorded is in {output}.", err=True
        )
        return 1
    fleet = FleetChoice(gpus=GPUS, assume_model=ASSUMED_MODEL, replicas=REPLICAS)
    document = analysis(Trace.open(output), fleet)
    if as_json:
        click.echo(to_json(document))
        return 0
    document["next"] = (
        f"tracekit replay {shlex.quote(str(output))} --gpu H100 --model {ASSUMED_MODEL} --rate 2/s --sessions 200"
    )
    print_analysis(document)
    return 0


def _compile() -> None:
    from tracekit.analyzers.replay import compile_kernel

    compile_kernel()


def _record(output: Path, sessions: int, concurrency: int, *, fake_gpu: bool, force: bool) -> int:
    """Serves the model, records the agent against it; the agent's exit code."""
    from tracekit.demo.extra import optional
    from tracekit.demo.fake_gpu import LABEL, made_up
    from tracekit.demo.labels import LABELS
    from tracekit.demo.serving import serving

    for package in ("xllamacpp", "gguf", "openai"):
        optional(package)
    click.echo("tracekit: starting llama.cpp on loopback ...", err=True)
    with serving() as base_url, made_up() if fake_gpu else nullcontext(None) as surroundings:
        agent = [sys.executable, "-m", "tracekit.demo.agent", "--base-url", base_url]
        agent += ["--sessions", str(sessions), "--concurrency", str(concurrency)]
        labels = LABELS | ({"gpu": LABEL} if fake_gpu else {})
        options = ["-o", str(output), *(["--force"] if force else [])]
        options += [word for name, text in labels.items() for word in ("--label", f"{name}={text}")]
        click.echo(
            f"tracekit: tracekit record -o {output} -- python -m tracekit.demo.agent --base-url {base_url} ...",
            err=True,
        )
        done = subprocess.run(
            [sys.executable, "-m", "tracekit", "record", *options, "--", *agent],
            stdout=sys.stderr,
            env=surroundings,
            check=False,
        )
    return done.returncode
