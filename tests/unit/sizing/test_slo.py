"""Objectives as users write them."""

import pytest

from tracekit.analyzers.sizing.slo import Slo, implied, parse_slos
from tracekit.errors import SloInvalid


@pytest.mark.parametrize(
    ("text", "metric", "percent", "limit_s"),
    [
        ("session_p95<60s", "session", 95, 60),
        (" ttft_p99.9 <= 2 min ", "ttft", 99.9, 120),
        ("TPOT_p50<50ms", "tpot", 50, 0.05),
        ("e2e_p90<1.5h", "e2e", 90, 5400),
        ("ttft_p95<1e2us", "ttft", 95, 1e-4),
    ],
)
def test_an_objective_is_read(text, metric, percent, limit_s):
    assert parse_slos([text]) == (Slo(metric, percent, pytest.approx(limit_s)),)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("session<60s", "no objective"),
        ("session_p95<60", "no objective"),
        ("sesion_p95<60s", "Did you mean 'session'?"),
        ("session_p95<60kg", "unit"),
        ("session_p95>60s", "upper limit"),
        ("session_p95=60s", "upper limit"),
        ("session_p0<60s", "above 0 and below 100"),
        ("session_p100<60s", "above 0 and below 100"),
        ("session_p95<0s", "no limit above 0"),
        ("session_p95<-1s", "no limit above 0"),
        ("session_p95<1.2.3s", "no limit above 0"),
    ],
)
def test_what_is_no_objective_is_refused(text, words):
    with pytest.raises(SloInvalid, match=words.replace("?", r"\?")):
        parse_slos([text])


def test_two_limits_on_one_percentile_contradict_each_other():
    with pytest.raises(SloInvalid, match="contradict"):
        parse_slos(["session_p95<60s", "ttft_p95<1s", "session_p95<30s"])
    assert len(parse_slos(["session_p95<60s", "session_p95<1min"])) == 1  # the same twice
    with pytest.raises(SloInvalid, match="at least one --slo"):
        parse_slos([])


def test_what_another_objective_implies_is_known():
    loose, tight, other = parse_slos(["session_p50<60s", "session_p95<30s", "ttft_p50<60s"])
    assert implied((loose, tight, other)) == {loose: tight}
