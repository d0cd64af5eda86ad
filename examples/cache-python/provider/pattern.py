"""Patterns in which `*` stands for any run of characters, none included."""

from typing import Callable


def compile_pattern(pattern: str) -> Callable[[str], bool]:
    """Every character but `*` stands for itself.

    The first piece must begin the text, the last must end it, and those
    between are each taken at their first occurrence: if any choice fits, this
    one does. So there is no going back, and no pattern is slow.
    """
    first, *rest = pattern.split("*")
    if not rest:
        return lambda text: text == first
    *middle, last = rest

    def matches(text: str) -> bool:
        end = len(text) - len(last)
        if end < len(first) or not text.startswith(first) or not text.endswith(last):
            return False
        start = len(first)
        for piece in middle:
            at = text.find(piece, start, end)
            if at < 0:
                return False
            start = at + len(piece)
        return True

    return matches
