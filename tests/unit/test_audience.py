"""Audience rules against an evaluator of their own, and what a bad rule is told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from offers.audience import Audience, Rule, fits
from offers.definition import CampaignDefinition

if TYPE_CHECKING:
    from collections.abc import Callable

NAMES = ("age", "tier", "tags", "vip")
SCALARS = st.one_of(
    st.booleans(), st.integers(-3, 3), st.sampled_from([0.0, 1.0, 1.5, -2.0]), st.sampled_from(["", "gold", "golden"])
)
VALUES = st.one_of(SCALARS, st.none(), st.lists(st.one_of(SCALARS, st.none()), max_size=3))
ATTRIBUTES = st.dictionaries(st.sampled_from(NAMES), VALUES)
NUMBERS = st.one_of(st.integers(-3, 3), st.sampled_from([0.5, 1.0, -2.0]))
COMPARISONS = st.one_of(
    st.tuples(st.just("is"), SCALARS),
    st.tuples(st.just("one_of"), st.lists(SCALARS, min_size=1, max_size=3)),
    st.tuples(st.just("has"), SCALARS),
    st.tuples(st.just("starts_with"), st.sampled_from(["g", "gold", "x"])),
    st.tuples(st.just("exists"), st.booleans()),
    st.tuples(st.sampled_from(["at_least", "at_most", "above", "below"]), NUMBERS),
)
LEAVES = st.builds(
    lambda name, comparison: {"attribute": name, comparison[0]: comparison[1]}, st.sampled_from(NAMES), COMPARISONS
)
RULES = st.recursive(
    LEAVES,
    lambda parts: st.one_of(
        st.builds(lambda group: {"all": group}, st.lists(parts, min_size=1, max_size=3)),
        st.builds(lambda group: {"any": group}, st.lists(parts, min_size=1, max_size=3)),
        st.builds(lambda part: {"not": part}, parts),
    ),
    max_leaves=8,
)


def truth(rule: dict[str, Any], attributes: dict[str, Any]) -> bool:
    """By the words of the documents, with JSON's own notion of equal: what is written alike."""
    for group, combine in (("all", all), ("any", any)):
        if group in rule:
            return combine([truth(part, attributes) for part in rule[group]])
    if "not" in rule:
        return not truth(rule["not"], attributes)
    ((name, wanted),) = [(name, value) for name, value in rule.items() if name != "attribute"]
    there = rule["attribute"] in attributes
    if name == "exists":
        return bool(there == wanted)
    if not there:
        return False
    value = attributes[rule["attribute"]]
    number = kind(value) == "number"
    table: dict[str, Callable[[], bool]] = {
        "is": lambda: alike(value, wanted),
        "one_of": lambda: bool([one for one in wanted if alike(one, value)]),
        "has": lambda: kind(value) == "list" and bool([one for one in value if alike(one, wanted)]),
        "starts_with": lambda: kind(value) == "text" and value[: len(wanted)] == wanted,
        "at_least": lambda: number and not value < wanted,
        "at_most": lambda: number and not value > wanted,
        "above": lambda: number and wanted < value,
        "below": lambda: number and wanted > value,
    }
    return bool(table[name]())


def kind(value: Any) -> str:
    return {bool: "boolean", int: "number", float: "number", str: "text", list: "list"}.get(type(value), "null")


def alike(a: Any, b: Any) -> bool:
    if kind(a) != kind(b):
        return False
    return float(a) == float(b) if kind(a) == "number" else bool(a == b)


@given(RULES, ATTRIBUTES)
def test_a_rule_says_what_an_independent_reading_of_it_says(rule: dict[str, Any], attributes: dict[str, Any]) -> None:
    assert fits(Rule.model_validate(rule), attributes) is truth(rule, attributes)


@given(RULES)
def test_a_rule_comes_back_from_storage_as_it_was_written(rule: dict[str, Any]) -> None:
    read = Rule.model_validate(rule)
    assert Rule.model_validate_json(read.model_dump_json()) == read
    assert read.model_dump(mode="json") == rule


@given(RULES, ATTRIBUTES)
def test_only_the_attributes_it_names_count(rule: dict[str, Any], attributes: dict[str, Any]) -> None:
    read = Rule.model_validate(rule)
    asked = {name: value for name, value in attributes.items() if name in read.attributes}
    assert fits(read, asked) is fits(read, attributes)


@pytest.mark.parametrize(
    ("rule", "where"),
    [
        ({"attribute": "age"}, ("audience",)),
        ({"attribute": "age", "is": 1, "above": 2}, ("audience",)),
        ({"all": []}, ("audience", "all")),
        ({"all": [{"attribute": "a", "is": 1}, {"attribute": "b"}]}, ("audience", "all", 1)),
        ({"any": [{"not": {"attribute": "b", "above": "x"}}]}, ("audience", "any", 0, "not", "above")),
        ({"any": [{"attribute": "b", "equals": 1}]}, ("audience", "any", 0, "equals")),
        ({"all": [{"attribute": "a", "is": 1}], "attribute": "b", "is": 1}, ("audience",)),
        ({"attribute": "a", "at_least": True}, ("audience", "at_least")),
        ({"attribute": "a", "exists": "yes"}, ("audience", "exists")),
        ({"attribute": "", "is": 1}, ("audience", "attribute")),
    ],
)
def test_a_bad_rule_is_refused_with_the_path_to_what_is_wrong(rule: dict[str, Any], where: tuple[object, ...]) -> None:
    with pytest.raises(ValidationError) as refused:
        CampaignDefinition.model_validate(
            {"name": "x", "offer": {"kind": "gift"}, "creatives": [{"title": "x"}], "audience": rule}
        )
    assert refused.value.errors()[0]["loc"][: len(where)] == where


def test_a_rule_is_bounded_in_parts_and_depth() -> None:
    leaf: dict[str, Any] = {"attribute": "a", "is": 1}
    deep = leaf
    for _ in range(8):
        deep = {"not": deep}
    for rule in (deep, {"all": [{"any": [leaf] * 60}, {"any": [leaf] * 60}]}):
        with pytest.raises(ValidationError, match="at most 100 parts, at most 8 deep"):
            TypeAdapter(Audience).validate_python(rule)
