"""What is committed runs anywhere: no path of a developer's machine, no address of a package index."""

from __future__ import annotations

import re

from tests.architecture.tree import name_of, text_files

HOMES = ("work", "root", "Users/[A-Za-z]", "home/(?!linuxbrew/)[a-z]", "tmp/[A-Za-z0-9]", "private/tmp", "mnt/[a-z]")
MACHINE_PATH = re.compile(r"(?<![\w./~$}*-])/(?:" + "|".join(HOMES) + r")(?![\w-]*\*)\b")
INDEX = re.compile(r"https?://[^\s'\"<>)]*(?:/simple\b|pythonhosted|artifactory|devpi)", re.IGNORECASE)


def test_no_file_names_a_path_of_somebodys_machine() -> None:
    found = [
        f"{name_of(path)}:{number}: {hit[0]}"
        for path in text_files()
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1)
        if (hit := MACHINE_PATH.search(line))
    ]
    assert not found, found


def test_no_file_names_a_package_index() -> None:
    found = [name_of(path) for path in text_files() if INDEX.search(path.read_text(encoding="utf-8", errors="replace"))]
    assert not found, found
