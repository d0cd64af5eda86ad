"""What the operator may write under `options`."""

import json
import re
from dataclasses import dataclass
from typing import Any

from failure import invalid

MAX_ENTRIES = 1_000_000
_UNITS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_DURATION = re.compile(r"([0-9]{1,15})(ms|s|m|h|d)")


@dataclass(frozen=True)
class Options:
    # How long an entry lives that does not say so itself.
    ttl_ms: int = 3_600_000
    # How many entries are kept; the least recently used goes first.
    max_entries: int = 10_000


def parse_options(text: str) -> Options:
    """Reads the JSON object of the config; raises `invalid-argument`."""
    try:
        given = json.loads(text)
    except (ValueError, RecursionError):
        given = None
    if not isinstance(given, dict):
        raise invalid("options must be one JSON object")
    parsed = {}
    for key, value in given.items():
        if key == "ttl":
            parsed["ttl_ms"] = _duration(value)
        elif key == "max_entries":
            parsed["max_entries"] = _count(value)
        else:
            raise invalid(f"unknown option `{key}`: the options are `ttl` and `max_entries`")
    return Options(**parsed)


def _duration(value: Any) -> int:
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if match is None or int(match[1]) == 0:
        raise invalid(
            'option `ttl` must be a duration above zero: write for instance "30s" or "10m"'
        )
    return int(match[1]) * _UNITS[match[2]]


def _count(value: Any) -> int:
    # To Python, true and false are integers too.
    whole = isinstance(value, int) and not isinstance(value, bool)
    if not whole or not 1 <= value <= MAX_ENTRIES:
        raise invalid(f"option `max_entries` must be a whole number from 1 to {MAX_ENTRIES}")
    return value
