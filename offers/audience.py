"""Who a campaign is for: a small rule over a device's attributes, as JSON. Pure; nothing of it is ever executed.

    {"all": [{"attribute": "tier", "one_of": ["gold", "silver"]}, {"not": {"attribute": "age", "below": 18}}]}

An attribute that a device does not have fits no comparison, and neither does one of another type: 18 is not "18".
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, Final, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MAX_PARTS: Final = 100
MAX_DEPTH: Final = 8
GROUPS: Final = ("all", "any", "not")
COMPARISONS: Final = ("is", "one_of", "has", "starts_with", "exists", "at_least", "at_most", "above", "below")

Text = Annotated[str, Field(max_length=1000)]
Scalar = Text | bool | int | float
Number = Annotated[float, Field(allow_inf_nan=False)]


class Rule(BaseModel):
    """`all`, `any` or `not` of other rules, or one `attribute` with exactly one comparison."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, serialize_by_alias=True, validate_by_name=True)

    all_: Annotated[list[Rule] | None, Field(alias="all", min_length=1, max_length=MAX_PARTS)] = None
    any_: Annotated[list[Rule] | None, Field(alias="any", min_length=1, max_length=MAX_PARTS)] = None
    not_: Annotated[Rule | None, Field(alias="not")] = None
    attribute: Annotated[str | None, Field(min_length=1, max_length=200)] = None
    is_: Annotated[Scalar | None, Field(alias="is", description="Equal, and of the same type.")] = None
    one_of: Annotated[list[Scalar] | None, Field(min_length=1, max_length=1000)] = None
    has: Annotated[Scalar | None, Field(description="The attribute is a list with this in it.")] = None
    starts_with: Annotated[Text | None, Field(min_length=1)] = None
    exists: Annotated[bool | None, Field(description="Whether the device has the attribute at all.")] = None
    at_least: Number | None = None
    at_most: Number | None = None
    above: Number | None = None
    below: Number | None = None

    @model_validator(mode="after")
    def _says_one_thing(self) -> Self:
        said = self.said
        groups = [name for name in said if name in GROUPS]
        comparisons = [name for name in said if name in COMPARISONS]
        one_group = len(said) == len(groups) == 1
        one_comparison = self.attribute is not None and len(comparisons) == 1 and not groups
        if not (one_group or one_comparison):
            raise ValueError(
                f"a rule is one of {', '.join(GROUPS)}, or an attribute with exactly one of {', '.join(COMPARISONS)}"
            )
        return self

    @model_serializer(mode="wrap")
    def _without_nulls(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {name: value for name, value in handler(self).items() if value is not None}

    @property
    def said(self) -> dict[str, Any]:
        """What the rule gives, by the names it has in JSON."""
        return {name.rstrip("_"): value for name, value in self if value is not None}

    @cached_property
    def comparison(self) -> tuple[str, Any]:
        """What an attribute is compared by, and with."""
        return next((name, wanted) for name, wanted in self.said.items() if name != "attribute")

    @cached_property
    def attributes(self) -> frozenset[str]:
        """The attributes that the rule asks for."""
        return frozenset(part.attribute for part, _ in _walk(self, 1) if part.attribute is not None)


def _bounded(rule: Rule) -> Rule:
    depths = [depth for _, depth in _walk(rule, 1)]
    if len(depths) > MAX_PARTS or max(depths) > MAX_DEPTH:
        raise ValueError(f"a rule has at most {MAX_PARTS} parts, at most {MAX_DEPTH} deep")
    return rule


Audience = Annotated[Rule, AfterValidator(_bounded)]
"""A whole rule, bounded in size."""


def fits(rule: Rule, attributes: Mapping[str, Any]) -> bool:
    """Whether a device with these attributes belongs to the audience.

    >>> adult = Rule.model_validate({"attribute": "age", "at_least": 18})
    >>> fits(adult, {"age": 18}), fits(adult, {"age": "18"}), fits(adult, {})
    (True, False, False)
    """
    if rule.all_ is not None:
        return all(fits(part, attributes) for part in rule.all_)
    if rule.any_ is not None:
        return any(fits(part, attributes) for part in rule.any_)
    if rule.not_ is not None:
        return not fits(rule.not_, attributes)
    assert rule.attribute is not None
    if rule.exists is not None:
        return (rule.attribute in attributes) is rule.exists
    return rule.attribute in attributes and _compares(rule, attributes[rule.attribute])


def _compares(rule: Rule, value: Any) -> bool:
    name, wanted = rule.comparison
    match name:
        case "is":
            return _same(value, wanted)
        case "one_of":
            return any(_same(value, one) for one in wanted)
        case "has":
            return isinstance(value, list) and any(_same(one, wanted) for one in value)
        case "starts_with":
            return isinstance(value, str) and value.startswith(wanted)
        case "at_least":
            return _is_number(value) and value >= wanted
        case "at_most":
            return _is_number(value) and value <= wanted
        case "above":
            return _is_number(value) and value > wanted
        case "below":
            return _is_number(value) and value < wanted
    raise AssertionError(name)


def _same(value: Any, wanted: Any) -> bool:
    """Equal as JSON: numbers by value, but true is not 1."""
    if _is_number(value) and _is_number(wanted):
        return bool(value == wanted)
    return type(value) is type(wanted) and value == wanted


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _walk(rule: Rule, depth: int) -> Iterator[tuple[Rule, int]]:
    yield rule, depth
    for part in (*(rule.all_ or ()), *(rule.any_ or ()), *((rule.not_,) if rule.not_ is not None else ())):
        yield from _walk(part, depth + 1)
