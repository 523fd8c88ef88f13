"""Unit tests: no network, no sleep; properties are tried with the same examples every time."""

from hypothesis import settings

settings.register_profile("unit", deadline=None, derandomize=True, max_examples=30)
settings.load_profile("unit")
