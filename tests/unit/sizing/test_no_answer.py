"""What is said where no fleet holds: which objective blocks, and how near the nearest comes."""

import pytest

from tracekit.reports.sizing import headline


def unmet(value_s, tools_alone_s=None):
    blocks = {
        "name": "session_p95", "value_s": value_s, "limit_s": 30.0, "kind": "L40S", "replicas": 2,
        "tools_alone_s": tools_alone_s,
    }  # fmt: skip
    question = {"rate_per_s": 2.0, "slos": [{"name": "session_p95", "limit_s": 30.0}], "most_replicas": 8}
    return {"interrupted": False, "answer": None, "blocks": blocks, "question": question}


@pytest.mark.parametrize(
    ("document", "says"),
    [
        (unmet(43.2), "blocks it: the best that can be had is 43.2 s, by 2 x L40S."),
        (unmet(27.0), "2 x L40S comes nearest, with 27 s in the first replicate, but not within limits in 95 % of"),
        (unmet(43.2, tools_alone_s=31.0), "tools and waits alone take 31 s, which no GPU shortens."),
    ],
)  # fmt: skip
def test_the_nearest_is_no_contradiction(document, says):
    assert says in headline(document)
