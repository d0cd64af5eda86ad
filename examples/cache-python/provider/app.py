"""What the component exports: the two interfaces of `stheno:worlds/cache-provider`.

componentize-py generates `wit_world` from the contract and looks here for a
class per exported interface, named after it.
"""

from typing import List, Optional

from wit_world import exports
from wit_world.exports.cache import Entry, Hit
from wit_world.exports.lifecycle import Description, Instances
from wit_world.imports import clock, log

from failure import internal
from options import parse_options
from store import Store

VERSION = "0.1.0"

_started: Optional[Store] = None


def _store() -> Store:
    if _started is None:
        raise internal("called before start")
    return _started


class Lifecycle(exports.Lifecycle):
    def describe(self) -> Description:
        return Description("cache-python", VERSION, Instances.ONE, ["tags", "matching"])

    def start(self, options: str) -> None:
        global _started
        parsed = parse_options(options)
        _started = Store(parsed, clock.monotonic_ms)
        log.write(
            log.Level.DEBUG,
            f"keeps {parsed.max_entries} entries, for {parsed.ttl_ms} ms by default",
        )

    def health(self) -> None:
        _store()

    def stop(self) -> None:
        global _started
        _started = None


class Cache(exports.Cache):
    def get(self, keys: List[str]) -> List[Optional[bytes]]:
        return [_store().get(key) for key in keys]

    def get_by_tags(self, tags: List[str]) -> List[Hit]:
        return [Hit(key, value) for key, value in _store().get_by_tags(tags)]

    def set(self, entries: List[Entry]) -> None:
        for entry in entries:
            _store().set(entry.key, entry.value, entry.ttl_ms, entry.tags)

    def delete(self, keys: List[str]) -> None:
        for key in keys:
            _store().delete(key)

    def clear_tags(self, tags: List[str]) -> None:
        _store().clear_tags(tags)

    def clear_matching(self, pattern: str) -> None:
        _store().clear_matching(pattern)
