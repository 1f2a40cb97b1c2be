"""The faults that `python -m tests.mutation` puts into modules are faults, and all of a small module's are there."""

from __future__ import annotations

import ast

import pytest

from tests.mutation.mutants import mutants
from tests.mutation.targets import TARGETS
from tests.mutation.trial import ROOT


@pytest.mark.parametrize(
    ("source", "faults"),
    [
        ("def f(a): return a < 1", ["a <= 1", "a >= 1", "1 -> 2", "1 -> 0", "return None"]),
        ("x = a and not b", ["a or not b", "not b -> b"]),
        ("x = a + min(b)", ["a - min(b)", "min -> max"]),
        ("ALLOWED = {Role.A, Role.B}", ["{Role.B}", "{Role.A}"]),
        ("ALLOWED = {a: True}", ["{}", "True -> False"]),
        (
            "def f(x: int = 1) -> int | None:\n    'Say 1.'\n    assert x\n    raise E",
            ["1 -> 2", "1 -> 0", "raise E -> pass"],
        ),
    ],
)
def test_a_line_has_the_faults_that_can_be_made_in_it(source: str, faults: list[str]) -> None:
    found = list(mutants(source))
    assert all(any(fault in str(mutant) for mutant in found) for fault in faults)
    assert len(found) == len(faults)


@pytest.mark.parametrize("target", [target for target in TARGETS if (ROOT / target).exists()])
def test_each_fault_of_a_module_changes_it_and_can_be_compiled(target: str) -> None:
    source = (ROOT / target).read_text(encoding="utf-8")
    plain = ast.unparse(ast.parse(source))
    for mutant in mutants(source):
        assert mutant.source != plain, mutant
        compile(mutant.source, target, "exec")
