"""The entries, their tags and their order of use."""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Callable, Dict, FrozenSet, Iterable, List, Optional, Set, Tuple

from options import Options
from pattern import compile_pattern


@dataclass(frozen=True)
class _Slot:
    value: bytes
    expires_ms: int
    tags: FrozenSet[str]


class Store:
    """Nothing runs between calls, so an entry that has expired is dropped when
    it is met or pushed out; it is never given to a caller.
    """

    def __init__(self, options: Options, now_ms: Callable[[], int]) -> None:
        self._options = options
        self._now_ms = now_ms
        # The least recently used is first.
        self._slots: "OrderedDict[str, _Slot]" = OrderedDict()
        self._keys_by_tag: Dict[str, Set[str]] = {}

    def get(self, key: str) -> Optional[bytes]:
        slot = self._slots.get(key)
        if slot is None:
            return None
        if slot.expires_ms <= self._now_ms():
            self.delete(key)
            return None
        self._slots.move_to_end(key)
        return slot.value

    def get_by_tags(self, tags: Iterable[str]) -> List[Tuple[str, bytes]]:
        found = ((key, self.get(key)) for key in self._keys_of(tags))
        return [(key, value) for key, value in found if value is not None]

    def set(self, key: str, value: bytes, ttl_ms: Optional[int], tags: Iterable[str]) -> None:
        self.delete(key)
        if ttl_ms is None:
            ttl_ms = self._options.ttl_ms
        if ttl_ms == 0:
            return
        slot = _Slot(value, self._now_ms() + ttl_ms, frozenset(tags))
        self._slots[key] = slot
        for tag in slot.tags:
            self._keys_by_tag.setdefault(tag, set()).add(key)
        while len(self._slots) > self._options.max_entries:
            self.delete(next(iter(self._slots)))

    def delete(self, key: str) -> None:
        slot = self._slots.pop(key, None)
        if slot is None:
            return
        for tag in slot.tags:
            keys = self._keys_by_tag[tag]
            keys.discard(key)
            if not keys:
                del self._keys_by_tag[tag]

    def clear_tags(self, tags: Iterable[str]) -> None:
        for key in self._keys_of(tags):
            self.delete(key)

    def clear_matching(self, pattern: str) -> None:
        matches = compile_pattern(pattern)
        for key in [key for key in self._slots if matches(key)]:
            self.delete(key)

    def _keys_of(self, tags: Iterable[str]) -> Set[str]:
        """A copy, so that the caller may delete while it goes through it."""
        return {key for tag in tags for key in self._keys_by_tag.get(tag, ())}
