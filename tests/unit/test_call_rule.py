"""Rules of pools, as users write them."""

import pytest

from tracekit.analyzers.call_rule import call_rule
from tracekit.analyzers.kernels.layout import ANY_CALL, MANY_TOKENS, CallRule
from tracekit.analyzers.scenario import Fleet, Pool
from tracekit.errors import ScenarioInvalid


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("", ANY_CALL),
        ("output<=200", CallRule(output_tokens=(0, 200))),
        ("OUTPUT < 200", CallRule(output_tokens=(0, 199))),
        ("input>4000", CallRule(input_tokens=(4001, MANY_TOKENS))),
        ("input>=4000 and input<8_000", CallRule(input_tokens=(4000, 7999))),
        ("model=*Haiku*|gpt-4o-mini", CallRule(models=("*haiku*", "gpt-4o-mini"))),
        (" share=.4  AND  model=a ", CallRule(models=("a",), share=0.4)),
        ("output<=99999999999", CallRule(output_tokens=(0, MANY_TOKENS))),
    ],
)
def test_rules_are_read(text, rule):
    assert call_rule(text) == rule


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("output=200", "'output=200' is no condition"),
        ("outptu<=200", "'outptu<=200' is no condition"),
        ("output<=200, model=a", "'output<=200, model=a' is no condition"),
        ("share=1", "is no condition"),
        ("share=0", "is no condition"),
        ("share=40%", "is no condition"),
        ("model=", "is no condition"),
        ("model=a and model=b", "names model twice"),
        ("share=0.5 and share=0.5", "names share twice"),
        ("input<100 and input>100", "met by no call"),
        ("output<0", "met by no call"),
        ("and", "is no condition"),
    ],
)
def test_what_cannot_be_read_is_refused(text, words):
    with pytest.raises(ScenarioInvalid, match=words.replace("|", r"\|")):
        call_rule(text)


def test_a_fleets_pools_come_in_the_order_of_their_rules():
    rest, short, small = (Pool("L40S", "Llama-3.1-8B", calls=text) for text in ("", "output<9", "model=a"))
    fleet = Fleet((rest, small, short, rest))
    assert fleet.pools == (small, short, rest, rest)
    assert fleet.lanes == ((small,), (short,), (rest, rest))
    assert [pool.replicas for pool in fleet.alone().pools] == [1, 1, 1]


def test_rules_that_say_the_same_are_one_lane():
    pools = [Pool("L40S", "Llama-3.1-8B", calls=text) for text in ("output<10", "output <= 9", "")]
    assert [len(lane) for lane in Fleet(tuple(pools)).lanes] == [2, 1]


def test_somebody_takes_the_rest():
    with pytest.raises(ScenarioInvalid, match="Leave the key out of one pool"):
        Fleet((Pool("L40S", "Llama-3.1-8B", calls="output<9"),))


def test_each_lane_splits_its_own_calls_or_does_not():
    split = [Pool("L40S", "Llama-3.1-8B", role=role) for role in ("prefill", "decode")]
    small = Pool("L40S", "Llama-3.1-8B", calls="output<9")
    assert [pool.role for pool in Fleet((*split, small)).pools] == ["both", "prefill", "decode"]
    with pytest.raises(ScenarioInvalid, match="for the same calls have the roles"):
        Fleet((split[0], small))
