"""Small faults put into a module, one at a time: what a test suite that holds the module's promises must notice.

Left alone are what no test can see or nobody may rely on: documentation, annotations, assertions, imports, options of
classes, sizes of caches, `__all__`.
"""

from __future__ import annotations

import ast
import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Put = Callable[[ast.AST], None]

COMPARISONS: Final[dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
ARITHMETIC: Final[dict[type[ast.operator], type[ast.operator]]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.FloorDiv: ast.Mult,
    ast.Div: ast.Mult,
    ast.Mod: ast.Mult,
}
OPPOSITES: Final = {
    name: other
    for pair in (("min", "max"), ("any", "all"), ("first_instant", "last_instant"), ("bisect_right", "bisect_left"))
    for name, other in (pair, pair[::-1])
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """A module's source with one fault, on which line, and what it is."""

    line: int
    fault: str
    source: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.fault}"


def mutants(source: str) -> Iterator[Mutant]:
    """Every fault known here, in the order of the lines.

    >>> [str(mutant) for mutant in mutants("def f(a): return a < 1")][:3]
    ['line 1: a < 1 -> a <= 1', 'line 1: a < 1 -> a >= 1', 'line 1: 1 -> 2']
    """
    tree = ast.parse(source)
    sites = sorted(_sites(tree), key=lambda site: (site[0].lineno, site[0].col_offset))
    for node, replacements, put in sites:
        for replacement in replacements:
            put(replacement)
            fault = f"{_shown(node)} -> {_shown(replacement)}"
            yield Mutant(line=node.lineno, fault=fault, source=ast.unparse(ast.fix_missing_locations(tree)))
            put(node)


_Site = tuple["ast.expr | ast.stmt", "list[ast.expr] | list[ast.stmt]", "Put"]


def _sites(parent: ast.AST) -> Iterator[_Site]:
    for name, value in ast.iter_fields(parent):
        if name in {"annotation", "returns", "decorator_list", "bases", "type_params"}:
            continue
        if name == "keywords" and isinstance(parent, ast.ClassDef):  # of a struct: frozen and the like
            continue
        for i, child in enumerate(value if isinstance(value, list) else [value]):
            if not isinstance(child, ast.AST) or _left_alone(child):
                continue
            found = list(_faults(child))
            if found and isinstance(child, ast.expr | ast.stmt):
                yield child, found, _putter(parent, name, i if isinstance(value, list) else None)  # type: ignore[misc]
            yield from _sites(child)


def _putter(parent: ast.AST, name: str, index: int | None) -> Put:
    def put(node: ast.AST) -> None:
        if index is None:
            setattr(parent, name, node)
        else:
            getattr(parent, name)[index] = node

    return put


def _left_alone(node: ast.AST) -> bool:
    match node:
        case ast.Assert() | ast.Import() | ast.ImportFrom() | ast.Expr(value=ast.Constant()) | ast.JoinedStr():
            return True
        case ast.If(test=ast.Name(id="TYPE_CHECKING")) | ast.Assign(targets=[ast.Name(id="__all__")]):
            return True
        case _:
            return False


def _faults(node: ast.AST) -> Iterator[ast.AST]:
    match node:
        case ast.Compare():
            yield from _comparisons(node)
        case ast.BoolOp():
            yield ast.BoolOp(op=ast.Or() if isinstance(node.op, ast.And) else ast.And(), values=node.values)
        case ast.UnaryOp(op=ast.Not()):
            yield node.operand
        case ast.UnaryOp(op=ast.USub()):
            yield node.operand
        case ast.BinOp(op=op) if type(op) in ARITHMETIC:
            yield ast.BinOp(left=node.left, op=ARITHMETIC[type(op)](), right=node.right)
        case ast.AugAssign(op=op) if type(op) in ARITHMETIC:
            yield ast.AugAssign(target=node.target, op=ARITHMETIC[type(op)](), value=node.value)
            yield ast.Pass()
        case ast.Constant(value=bool()):
            yield ast.Constant(not node.value)
        case ast.Constant(value=int(number)):
            yield from (ast.Constant(number + 1), ast.Constant(number - 1))
        case ast.Name() if node.id in OPPOSITES and isinstance(node.ctx, ast.Load):
            yield ast.Name(id=OPPOSITES[node.id], ctx=node.ctx)
        case ast.IfExp():
            yield ast.IfExp(test=node.test, body=node.orelse, orelse=node.body)
        case ast.Set() | ast.Dict():
            yield from _shorter(node)
        case _:
            yield from _statements(node)


def _statements(node: ast.AST) -> Iterator[ast.stmt]:
    match node:
        case ast.If() | ast.While() if not isinstance(node.test, ast.Compare | ast.UnaryOp):
            negated = copy.copy(node)
            negated.test = ast.UnaryOp(op=ast.Not(), operand=node.test)
            yield negated
        case ast.Return(value=ast.expr()) if not isinstance(node.value, ast.Constant):
            yield ast.Return(value=ast.Constant(None))
        case ast.Expr() | ast.Raise() | ast.Assign(targets=[ast.Subscript() | ast.Attribute()]):
            yield ast.Pass()
        case ast.Continue():
            yield from (ast.Break(), ast.Pass())
        case ast.Break():
            yield from (ast.Continue(), ast.Pass())


def _comparisons(node: ast.Compare) -> Iterator[ast.Compare]:
    for i, op in enumerate(node.ops):
        for other in COMPARISONS[type(op)]:
            yield ast.Compare(
                left=node.left, ops=[*node.ops[:i], other(), *node.ops[i + 1 :]], comparators=node.comparators
            )


def _shorter(node: ast.Set | ast.Dict) -> Iterator[ast.expr]:
    """A table, a set of permissions say, with one entry less."""
    if isinstance(node, ast.Set):
        for i in range(len(node.elts)):
            rest = node.elts[:i] + node.elts[i + 1 :]
            yield (
                ast.Set(elts=rest) if rest else ast.Call(func=ast.Name(id="set", ctx=ast.Load()), args=[], keywords=[])
            )
        return
    for i in range(len(node.keys)):
        yield ast.Dict(keys=node.keys[:i] + node.keys[i + 1 :], values=node.values[:i] + node.values[i + 1 :])


def _shown(node: ast.AST) -> str:
    line = " ".join(ast.unparse(ast.fix_missing_locations(copy.deepcopy(node))).split())
    return line if len(line) <= 90 else f"{line[:87]}..."
