"""Every command in docs/guides, in a block, a manifest, a Dockerfile or a sentence, is one that tracekit takes."""

from __future__ import annotations

import re

import click
import pytest
import yaml

from tests.cli.guide_page import GUIDES, Block, accept, block, blocks, commands, flags, image_start, inline
from tracekit.cli import REGISTRY
from tracekit.errors import BudgetInvalid, ServesInvalid, SizeBudgetInvalid, SloInvalid

CONTAINERS = next(page for page in GUIDES if page.stem == "containers")
IMAGE = image_start(block(CONTAINERS, "dockerfile"))
LANGUAGES = ("sh", "yaml", "dockerfile")
BLOCKS = [
    pytest.param(each, id=f"{page.stem}-{number}")
    for page in GUIDES
    for number, each in enumerate(blocks(page))
    if each.language in LANGUAGES and commands(each, IMAGE[:2])
]


def taken(part: Block) -> list[list[str]]:
    """The block's commands, all accepted."""
    found = commands(part, IMAGE[:2])
    for words in found:
        accept(words)
    return found


def test_five_guides_and_no_block_without_a_command():
    assert [page.stem for page in GUIDES] == ["ci", "containers", "gpu-host", "launch", "node"]
    told = [each for page in GUIDES for each in blocks(page) if each.language in LANGUAGES]
    without = [each.text for each in told if not commands(each, IMAGE[:2])]
    assert [text.split()[:4] for text in without] == [["python3", "-m", "pip", "wheel"]]


@pytest.mark.parametrize("part", BLOCKS)
def test_a_block_of_commands(part):
    found = taken(part)
    written = re.findall(rf"\btracekit[\", ]+(?:{'|'.join(REGISTRY)})\b", part.text)
    assert len(found) >= max(1, len(written))


@pytest.mark.parametrize("part", BLOCKS)
def test_a_wrong_flag_in_it_is_found(part):
    """Else a command would be taken that was not looked at."""
    for flag in {flag for words in commands(part, IMAGE[:2]) for flag in flags(words)}:
        with pytest.raises(click.NoSuchOption):
            taken(part._replace(text=part.text.replace(flag, f"{flag}-x")))


@pytest.mark.parametrize("page", GUIDES, ids=lambda page: page.stem)
def test_commands_in_sentences(page):
    for words in inline(page):
        accept(words)


@pytest.mark.parametrize("page", GUIDES, ids=lambda page: page.stem)
def test_links_lead_somewhere(page):
    for link in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):
        assert (page.parent / link).is_file(), link


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["size", "t.parquet", "--fail-if", "cost_per_mont>1"], SizeBudgetInvalid),
        (["size", "t.parquet", "--slo", "session_p95>1s"], SloInvalid),
        (["diff", "a", "b", "--fail-if", "session_p95"], BudgetInvalid),
        (["analyze", "t.parquet", "--serves", "http://gpu-host:8000"], ServesInvalid),
    ],
)
def test_a_limit_that_nobody_can_read_is_found(words, error):
    with pytest.raises(error):
        accept(words)


def test_manifests_are_whole():
    """What Kubernetes refuses at once: mounts without a volume, a job that restarts its pods under one name."""
    job = yaml.safe_load(block(CONTAINERS, "yaml"))
    pod = job["spec"]["template"]["spec"]
    volumes = {volume["name"] for volume in pod["volumes"]}
    mounted = {
        mount["name"]
        for each in [*pod["initContainers"], *pod["containers"]]
        for mount in each["volumeMounts"]
    }
    assert mounted == volumes
    assert pod["restartPolicy"] == "Never"
