"""What a sweep varies, as people write it."""

import pytest

from tracekit.analyzers.sweep.axis import Axis, axes_of_file, axes_of_texts, joined
from tracekit.errors import SweepInvalid, UnknownName, WhatIfInvalid


def test_texts():
    assert axes_of_texts(["replicas=1, 2,1", "tools.speculative=off,0.5"]) == [
        Axis("replicas", ("1", "2")),
        Axis("tools.speculative", ("off", "0.5")),
    ]


def test_a_file_has_dotted_names_as_tables_or_in_quotes(tmp_path):
    path = tmp_path / "sweep.toml"
    path.write_text(
        '[sweep]\nreplicas = [1, 2]\nrouter = "round-robin"\n[sweep.tools]\nspeculative = ["off", 0.5]\n'
    )
    assert axes_of_file(path) == [
        Axis("replicas", (1, 2)),
        Axis("router", ("round-robin",)),
        Axis("tools.speculative", ("off", 0.5)),
    ]
    path.write_text('[fleet]\ngpu = "H100"\n')
    assert axes_of_file(path) == []


def test_the_second_goes_before_the_first():
    assert joined([Axis("tp", (1,)), Axis("replicas", (1,))], [Axis("tp", (2,))]) == [
        Axis("tp", (2,)),
        Axis("replicas", (1,)),
    ]


@pytest.mark.parametrize(
    ("texts", "error", "words"),
    [
        (["replicas"], SweepInvalid, "--over replicas=1,2,4"),
        (["replicas="], SweepInvalid, "cannot be swept over"),
        (["replicas=1,,2"], SweepInvalid, "cannot be swept over"),
        (["=1"], SweepInvalid, "cannot be swept over"),
        (["replicas=1", "replicas=2"], SweepInvalid, "twice"),
        (["replica=1"], UnknownName, "Did you mean replicas"),
        (["replicas=1,none"], WhatIfInvalid, "whole number"),
        (["router=round-robbin"], UnknownName, "Did you mean round-robin"),
        (["tools.speculative=1.5"], WhatIfInvalid, "0 to 1"),
    ],
)
def test_what_cannot_be_swept_over(texts, error, words):
    with pytest.raises(error, match=words):
        axes_of_texts(texts)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("[sweep]\nreplicas = []\n", SweepInvalid),
        ("[sweep]\nreplicas = [[1]]\n", WhatIfInvalid),
        ("[sweep]\nrepliccas = [1]\n", UnknownName),
        ("sweep = 1\n", SweepInvalid),
        ("[sweep\n", SweepInvalid),
    ],
)
def test_bad_files(tmp_path, text, error):
    path = tmp_path / "sweep.toml"
    path.write_text(text)
    with pytest.raises(error):
        axes_of_file(path)
    with pytest.raises(SweepInvalid):
        axes_of_file(tmp_path / "missing.toml")
