"""Take out one gate after the other and say which of them no test over HTTP misses: `python -m tests.mutation.gates`.

It ends with 1 if the tests pass without a gate.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import Final

from offers.model import Gate
from tests.mutation.trial import ROOT
from tests.mutation.without_gate import VARIABLE

TESTS: Final = "tests/integration/api/test_gates.py"
_FAILED: Final = re.compile(r"^FAILED \S+?::(\S+)", flags=re.MULTILINE)
PYTEST_SAYS_FAILED: Final = 1


def main() -> int:
    missed = []
    for gate in Gate:
        # quietly, until the first failure, one after the other
        command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "tests.mutation.without_gate", TESTS]
        environment = {**os.environ, VARIABLE: gate}
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        failed = _FAILED.search(done.stdout)
        if done.returncode == PYTEST_SAYS_FAILED and failed is not None:
            print(f"{gate}: missed by {failed[1]}", flush=True)
        else:
            missed.append(gate)
            print(f"{gate}: no test misses it (pytest ended with {done.returncode})", flush=True)
    print(f"{len(Gate) - len(missed)} of {len(Gate)} gates are missed by a test over HTTP")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
