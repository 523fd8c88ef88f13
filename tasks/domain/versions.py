"""Versions as numbers: what a sidecar calls itself, compared with where a behaviour began."""

import re

_NUMBER = re.compile(r"(\d+)\.(\d+)\.(\d+)")


def number_of(version: str) -> tuple[int, ...] | None:
    """Read major, minor and patch; None for a build from source, which does not know its own."""
    found = _NUMBER.search(version)
    return None if found is None else tuple(int(part) for part in found.groups())
