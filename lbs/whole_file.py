"""Result files that are there as a whole or not at all."""

from __future__ import annotations

import os
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def whole_file(output: Path) -> Iterator[Path]:
    """A file to write beside `output`, which takes its place at the end; on an error nothing is left behind."""
    descriptor, name = tempfile.mkstemp(dir=output.parent, prefix=f".{output.name}.")
    os.close(descriptor)
    path = Path(name)
    try:
        yield path
        # mkstemp makes files for the owner alone; a result is as public as any new file
        umask = os.umask(0)
        os.umask(umask)
        path.chmod(0o666 & ~umask)
        path.replace(output)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
