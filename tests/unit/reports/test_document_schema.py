"""Every document fits the published schema, and what is no such document does not."""

import copy
import json
from pathlib import Path

import jsonschema
import pytest

from tests.cli.command_line import run
from tests.unit.crafted_trace import call_row, write_crafted
from tests.unit.reports.documents import crafted_comparison, crafted_document

SCHEMA = json.loads((Path(__file__).parents[3] / "docs/reference/document.schema.json").read_text())


def faults(document, kind):
    """What is wrong with a document of that kind; the schema as a whole would only say that neither kind fits."""
    schema = {key: value for key, value in SCHEMA.items() if key != "anyOf"} | {"$ref": f"#/$defs/{kind}"}
    return [
        f"{list(error.path)}: {error.message[:200]}"
        for error in jsonschema.Draft202012Validator(schema).iter_errors(document)
    ]


def test_the_schema_is_a_schema():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def test_an_analysis_fits(tmp_path):
    document = json.loads(json.dumps(crafted_document(tmp_path / "crafted.parquet")))
    assert faults(document, "analysis") == []
    jsonschema.validate(document, SCHEMA)


def test_without_tokens_there_are_no_replays_and_it_fits(tmp_path):
    write_crafted(tmp_path / "t.parquet", [call_row(1, 0, 10, input_tokens=None, output_tokens=None)])
    document = json.loads(run("analyze", "t.parquet", "--json", cwd=tmp_path)[0])
    assert document["replays"] == []
    assert faults(document, "analysis") == []


@pytest.mark.parametrize("more", [(), ("--rate", "2/s", "--sessions", "40")])
def test_a_replay_fits(tmp_path, more):
    write_crafted(tmp_path / "t.parquet", [call_row(1, 0, 10), call_row(2, 20, 40, parents=[1])])
    words = ("replay", "t.parquet", "--gpu", "H100", "--model", "Llama-3.1-8B", "--json", *more)
    document = json.loads(run(*words, cwd=tmp_path)[0])
    assert faults(document, "one_replay") == []
    jsonschema.validate(document, SCHEMA)


@pytest.mark.parametrize("queries", [None, 1e6])
def test_a_comparison_fits(tmp_path, queries):
    document = json.loads(json.dumps(crafted_comparison(tmp_path, queries=queries)))
    assert faults(document, "comparison") == []
    jsonschema.validate(document, SCHEMA)
    assert faults(document | {"baseline": None}, "comparison")
    assert faults(document | {"workflows": [document["workflows"][0] | {"sessions": 0}]}, "comparison")


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("schema_version",), 2),
        (("recorded", "calls"), -1),
        (("recorded", "unheard_of"), 1),
        (("replays", 0, "energy_j", "total"), "12 J"),
        (("replays", 0, "share", "llm"), 70.2),
    ],
)
def test_what_is_no_document_does_not_fit(tmp_path, path, value):
    document = copy.deepcopy(crafted_document(tmp_path / "crafted.parquet", gpus=("H100",)))
    part = document
    for key in path[:-1]:
        part = part[key]
    part[path[-1]] = value
    assert faults(json.loads(json.dumps(document)), "analysis")
