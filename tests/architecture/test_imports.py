"""Importing a module of the three packages does no work: no network, no process, no file, no look at the environment.

One Python imports them all under an audit hook. What a library does while it is imported is its own affair, except that
nothing at all may be connected to.
"""

from __future__ import annotations

import subprocess
import sys

from tests.architecture.tree import PACKAGES, ROOT, python_files

PROGRAM = """
import importlib, os, sys, threading

root, modules = sys.argv[1], sys.argv[2:]
ours = tuple(f"{root}/{name}/" for name in ("geofences", "offers", "lbs"))
faults = []
LIBRARIES = ("PYDANTIC_",)

def own_frame():
    # our innermost frame, unless an import of somebody else's module stands between it and here
    frame = sys._getframe(2)
    while frame is not None and not frame.f_code.co_filename.startswith("<frozen importlib"):
        if frame.f_code.co_filename.startswith(ours):
            return f"{frame.f_code.co_filename[len(root) + 1:]}:{frame.f_lineno}"
        frame = frame.f_back
    return None

NEVER = {"socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto"}
OURS_NEVER = {"open", "os.listdir", "os.mkdir", "socket.bind", "subprocess.Popen", "os.system", "ctypes.dlopen"}

def hook(event, arguments):
    if event in NEVER:
        faults.append(f"{event} by a library or by us")
    elif event in OURS_NEVER and (where := own_frame()) is not None:
        faults.append(f"{where}: {event}")

class Watched(type(os.environ)):
    def __getitem__(self, key):
        # libraries have switches of their own (PYDANTIC_...), which they may look at when we call them
        if (where := own_frame()) is not None and not key.startswith(LIBRARIES):
            faults.append(f"{where}: reads {key} of the environment")
        return super().__getitem__(key)

    def __iter__(self):
        if (where := own_frame()) is not None:
            faults.append(f"{where}: reads the environment")
        return super().__iter__()

os.environ.__class__ = Watched
sys.addaudithook(hook)
for name in modules:
    importlib.import_module(name)
threads = [thread.name for thread in threading.enumerate() if thread is not threading.main_thread()]
faults += [f"a thread was started: {name}" for name in threads]
print(*sorted(set(faults)), sep="\\n")
"""


def _modules() -> list[str]:
    paths = (path.relative_to(ROOT).with_suffix("") for path in python_files(*PACKAGES))
    names = (".".join(path.parts).removesuffix(".__init__") for path in paths)
    return sorted(name for name in names if not name.endswith("__main__"))


def _faults(program: str, *arguments: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", program, str(ROOT), *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.splitlines()


def test_an_import_does_no_work() -> None:
    faults = [line for line in _faults(PROGRAM, *_modules()) if line]
    assert not faults, faults


def test_the_watch_would_notice() -> None:
    source = f"{ROOT}/lbs/made_up.py"
    guilty = f"exec(compile('import os; os.environ.get(\"HOME\"); open(os.devnull).close()', {source!r}, 'exec'))\n"
    noticed = _faults(PROGRAM.replace("for name in modules:", guilty + "for name in modules:"))
    assert noticed == ["lbs/made_up.py:1: open", "lbs/made_up.py:1: reads HOME of the environment"]
