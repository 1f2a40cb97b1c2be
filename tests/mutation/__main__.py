"""Put small faults into modules and say which of them the modules' tests do not notice.

`python -m tests.mutation offers/schedule.py` works in copies of the project and leaves the project alone. It ends with
1 if a fault survives that `equivalent.py` does not explain.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from tests.mutation.equivalent import EQUIVALENT
from tests.mutation.mutants import Mutant, mutants
from tests.mutation.targets import TARGETS
from tests.mutation.trial import ROOT, Trial, Trials

SLOWEST: Final = 3
"""A fault may make the tests this many times slower than they are; then it counts as noticed."""


def _score(target: str, folder: Path, workers: int, lines: range) -> bool:
    """Report on one module; whether every fault is noticed or explained."""
    tests = tuple(test for test in TARGETS[target] if (ROOT / test).exists())
    source = (ROOT / target).read_text(encoding="utf-8")
    trials = Trials(target=target, tests=tests, folder=folder, workers=workers)
    trials.prepare()
    begin = time.monotonic()
    if not all(passed for _, passed in trials.run([Trial(number=i, source=source) for i in range(workers)], 600)):
        print(f"{target}: its tests fail without any fault")
        return False
    timeout_s = SLOWEST * (time.monotonic() - begin)
    text = source.splitlines()
    faults = [mutant for mutant in mutants(source) if mutant.line in lines]
    explained = {i for i, fault in enumerate(faults) if _key(target, text, fault) in EQUIVALENT}
    tried = [Trial(number=i, source=fault.source) for i, fault in enumerate(faults) if i not in explained]
    survivors = 0
    for number, passed in trials.run(tried, timeout_s):
        if passed:
            survivors += 1
            fault = faults[number]
            print(f"{target}:{fault.line}: survived: {fault.fault}\n    {text[fault.line - 1].strip()}", flush=True)
    noticed = len(tried) - survivors
    share = noticed / max(1, len(tried))
    print(
        f"{target}: {noticed} of {len(tried)} faults noticed ({share:.1%}), {len(explained)} change nothing", flush=True
    )
    return not survivors


def _key(target: str, text: list[str], fault: Mutant) -> tuple[str, str, str]:
    return target, text[fault.line - 1].strip(), fault.fault


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("files", nargs="+", metavar="FILE", choices=sorted(TARGETS), help=", ".join(sorted(TARGETS)))
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--lines", default="1-9999", help="only faults on these lines, e.g. 40-80")
    asked = parser.parse_args()
    first, _, last = asked.lines.partition("-")
    lines = range(int(first), int(last or first) + 1)
    fine = True
    for target in asked.files:
        with tempfile.TemporaryDirectory(prefix="lbs-mutation-") as folder:
            fine = _score(target, Path(folder), asked.workers, lines) and fine
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
