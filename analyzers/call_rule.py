"""Which calls a pool is for, as users write it: `output<=200 and model=*haiku*`."""

from __future__ import annotations

import re
from functools import cache

from tracekit.analyzers.kernels.layout import ANY_CALL, MANY_TOKENS, CallRule
from tracekit.errors import ScenarioInvalid

_AND = re.compile(r"\s+and\s+", re.IGNORECASE)
_TOKENS = re.compile(r"(input|output)\s*(<=|>=|<|>)\s*(\d[\d_]*)", re.IGNORECASE)
_MODEL = re.compile(r"model\s*=\s*([^\s=<>|]+(?:\|[^\s=<>|]+)*)", re.IGNORECASE)
_SHARE = re.compile(r"share\s*=\s*(0?\.\d+|0|1(?:\.0*)?)", re.IGNORECASE)


@cache
def call_rule(text: str) -> CallRule:
    """The rule that conditions with `and` between them make; of no text: every call.

    A condition is `input` or `output` (recorded tokens) with <, <=, > or >= and a number; `model=` and a pattern of
    the recorded model's name, or several with `|` between; `share=` and how many of the calls, drawn.

    Raises
    ------
    ScenarioInvalid : a condition cannot be read, is given twice, or no call can meet them all.
    """
    rule = ANY_CALL
    for condition in _AND.split(text.strip()) if text.strip() else ():
        rule = _with(rule, text, condition)
    for least, most in (rule.input_tokens, rule.output_tokens):
        if least > most:
            raise ScenarioInvalid.no_call_meets(text)
    return rule


def _with(rule: CallRule, text: str, condition: str) -> CallRule:
    if found := _TOKENS.fullmatch(condition):
        sign, tokens = found[2], int(found[3])
        if found[1].lower() == "input":
            return rule._replace(input_tokens=_narrowed(rule.input_tokens, sign, tokens))
        return rule._replace(output_tokens=_narrowed(rule.output_tokens, sign, tokens))
    if found := _MODEL.fullmatch(condition):
        if rule.models:
            raise ScenarioInvalid.condition_twice(text, "model")
        return rule._replace(models=tuple(found[1].lower().split("|")))
    if found := _SHARE.fullmatch(condition):
        if rule.share < 1.0:
            raise ScenarioInvalid.condition_twice(text, "share")
        share = float(found[1])
        if not 0 < share < 1:
            raise ScenarioInvalid.no_such_condition(text, condition)
        return rule._replace(share=share)
    raise ScenarioInvalid.no_such_condition(text, condition)


def _narrowed(allowed: tuple[int, int], sign: str, tokens: int) -> tuple[int, int]:
    """The range within another one that the comparison leaves."""
    least, most = allowed
    if sign.startswith("<"):
        return least, min(most, tokens - (sign == "<"), MANY_TOKENS)
    return max(least, tokens + (sign == ">")), most
