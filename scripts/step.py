#!/usr/bin/env python3
"""Runs one step of the build, says so, and says how long it took.

    step.py NAME [--input PATH]... [--value TEXT]... [--output PATH]... -- COMMAND...

With inputs, the step is skipped when a run with the same ones succeeded before
and its outputs are still there. The same: the command, the values (such as
versions of tools) and every file below the inputs, by content.
"""

import argparse
import fcntl
import hashlib
import os
import re
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
STAMPS = ROOT / ".tools" / "stamps"

# Folders that tools write into, beside what they read.
MADE = {"node_modules", "build", "target", "__pycache__"}


def main() -> int:
    name, args, command = arguments()
    if not args.input:
        return run(name, command)

    STAMPS.mkdir(parents=True, exist_ok=True)
    stamp = STAMPS / re.sub(r"[^a-z0-9]+", "-", name.lower())
    # Held to the end: a second run at the same time waits, then finds it done.
    lock = open(stamp.with_suffix(".lock"), "w")
    fcntl.flock(lock, fcntl.LOCK_EX)
    digest = fingerprint(command, args.value, args.input)
    done = stamp.exists() and stamp.read_text() == digest
    if done and all(Path(path).exists() for path in args.output):
        say(f"{name}: up to date")
        return 0

    # Gone while the step runs: a run that fails half-way may leave outputs that
    # belong to no input.
    stamp.unlink(missing_ok=True)
    code = run(name, command)
    if code == 0:
        missing = [path for path in args.output if not Path(path).exists()]
        if missing:
            say(f"{name}: it succeeded and did not make {', '.join(missing)}")
            return 1
        stamp.write_text(digest)
    return code


def arguments():
    ours, dashes, command = sys.argv[1:], "--", []
    if dashes in ours:
        at = ours.index(dashes)
        ours, command = ours[:at], ours[at + 1 :]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("name")
    for option in ("--input", "--value", "--output"):
        parser.add_argument(option, action="append", default=[])
    args = parser.parse_args(ours)
    if not command:
        parser.error("write the command after --")
    return args.name, args, command


def fingerprint(command, values, inputs) -> str:
    total = hashlib.sha256()
    for text in [*command, "values", *values, "files"]:
        total.update(text.encode() + b"\0")
    for path in inputs:
        for file in files(Path(path)):
            total.update(os.fsencode(file) + b"\0")
            total.update(hashlib.sha256(file.read_bytes()).digest())
    return total.hexdigest()


def files(path: Path):
    if path.is_file():
        return [path]
    if not path.is_dir():
        sys.exit(f"==> there is no {path}")
    found = []
    for folder, folders, names in os.walk(path):
        folders[:] = [name for name in folders if name not in MADE]
        found.extend(Path(folder) / name for name in names)
    return sorted(found)


def run(name, command) -> int:
    say(name)
    begun = time.monotonic()
    try:
        code = subprocess.run(command).returncode
    except OSError as error:
        say(f"{name}: cannot run {command[0]}: {error.strerror}")
        return 127
    except KeyboardInterrupt:
        code = 130
    if code < 0:
        code = 128 - code
    took = f"{time.monotonic() - begun:.1f} s"
    say(f"{name}: done in {took}" if code == 0 else f"{name}: failed after {took} (exit code {code})")
    return code


def say(text):
    sys.stdout.flush()
    print(f"==> {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
