#!/usr/bin/env python3
"""Every test that the documentation names is there.

Pages promise something and name the test that proves it. A test that is renamed or
removed would leave a promise that nobody keeps.
"""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGES = ["docs/security-model.md", "docs/architecture.md"]
SOURCES = ["runtime", "guest-providers", "sdk", "tests", "examples"]
# Four words or more between backquotes.
NAMED = re.compile(r"`((?:[a-z0-9]+_){3,}[a-z0-9]+)`")
# A function, or a key of the config: those are written in backquotes too.
DEFINED = re.compile(r"\bfn ((?:[a-z0-9]+_){3,}[a-z0-9]+)\b|^ *((?:[a-z0-9]+_){3,}[a-z0-9]+): ", re.M)


def sources():
    for folder in SOURCES:
        for path in (ROOT / folder).rglob("*.rs"):
            if "target" not in path.parts and "node_modules" not in path.parts:
                yield path


def main() -> int:
    defined: set[str] = set()
    for path in sources():
        for function, key in DEFINED.findall(path.read_text(encoding="utf-8")):
            defined.add(function or key)
    missing = 0
    for page in PAGES:
        for number, line in enumerate((ROOT / page).read_text(encoding="utf-8").splitlines(), 1):
            for name in NAMED.findall(line):
                if name not in defined:
                    missing += 1
                    print(f"{page}:{number}: there is no test {name}; name the one that proves it")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
