"""How inner loops are compiled: once, without the GIL, kept on disk, and never kept longer than what they call."""

# mypy: allow-untyped-calls

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numba
from llvmlite import ir
from numba.extending import intrinsic

if TYPE_CHECKING:
    from collections.abc import Callable

_njit: Any = numba.njit
"""numba's annotations leave out `_nrt`, its switch for counting references."""

F = TypeVar("F", bound="Callable[..., Any]")

_not_kept: list[Any] = []
"""What was compiled from modules imported since `keep_results`, callees before their callers."""
_newest_source_s: list[float] = [0.0]
"""When the newest of the modules seen by `keep_results` was written."""


def compiled(function: F) -> F:
    """A function that numba compiles at its first call, for each combination of argument types, without fast-math."""
    return cast("F", _noted(numba.njit(nogil=True, error_model="numpy")(function)))


def borrowing(function: F) -> F:
    """The same for what makes no array of its own: references to arrays, dear in a loop, are not counted."""
    return cast("F", _noted(_njit(nogil=True, error_model="numpy", _nrt=False)(function)))


def in_place(function: F) -> F:
    """The same, put in the place of each of its calls: handing over tables, field by field, is dear in a loop too."""
    return cast("F", _noted(_njit(nogil=True, error_model="numpy", _nrt=False, forceinline=True)(function)))


def compiled_loosely(function: F) -> F:
    """The same, with products and sums contracted into one rounding, so that loops over columns become vector code."""
    return cast(
        "F", _noted(numba.njit(nogil=True, error_model="numpy", fastmath={"contract", "nsz", "arcp"})(function))
    )


def inlined(function: F) -> F:
    """A function compiled into those that call it, so that their loops can become vector code."""
    return cast("F", _noted(numba.njit(nogil=True, error_model="numpy", inline="always")(function)))


def keep_results() -> None:
    """Have the results of all functions there are read from disk, and written there.

    For those who are about to call one; looks at files, which an import must not. numba keeps results as long as a
    function's own source is unchanged; here they are deleted as well when a module below it has changed since.
    """
    while _not_kept:
        function = _not_kept.pop(0)
        function.enable_caching()
        _forget_stale(function.py_func, Path(function._cache.cache_path))  # noqa: SLF001 - numba tells it nowhere else


def _noted(dispatcher: Any) -> Any:
    _not_kept.append(dispatcher)
    return dispatcher


def _forget_stale(function: Callable[..., Any], folder: Path) -> None:
    """Of what `folder` keeps: beside the source, or elsewhere if nobody may write there."""
    source = Path(function.__code__.co_filename)
    _newest_source_s[0] = max(_newest_source_s[0], source.stat().st_mtime)
    for kept in folder.glob(f"{source.stem}.{function.__qualname__}-*.nbi"):
        try:
            if kept.stat().st_mtime < _newest_source_s[0]:
                kept.unlink()
        except OSError:  # another process was first, or the folder is not ours to write: then its owner compiled it
            continue


def _fence(ordering: str) -> Any:
    def typed(_typing_context: Any) -> Any:
        def generate(context: Any, builder: Any, _signature: Any, _arguments: Any) -> Any:
            builder.fence(ordering)
            return context.get_dummy_value()

        return numba.types.void(), generate

    return intrinsic(typed)


def _prefetch(_typing_context: Any, array: Any, row: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        held = context.make_array(signature.args[0])(context, builder, arguments[0])
        first = builder.bitcast(held.data, ir.IntType(8).as_pointer())
        stride = builder.extract_value(held.strides, 0)
        place = builder.gep(first, [builder.mul(builder.sext(arguments[1], stride.type), stride)])
        wanted = ir.FunctionType(ir.VoidType(), [place.type, *[ir.IntType(32)] * 3])
        call = builder.module.declare_intrinsic("llvm.prefetch", (place.type,), wanted)
        builder.call(call, [place, *(ir.Constant(ir.IntType(32), n) for n in (READ, KEEP, DATA))])
        return context.get_dummy_value()

    return numba.types.void(array, row), generate


READ, KEEP, DATA = 0, 3, 1
prefetch: Any = intrinsic(_prefetch)
"""Have the row of an array fetched into the cache while something else is done; any row number will do."""

release_fence = _fence("release")
"""All that was written before is seen by whoever sees what is written after."""
acquire_fence = _fence("acquire")
"""What is read after is no older than what was read before."""
