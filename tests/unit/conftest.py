"""Unit tests: no network, no sleep; properties are tried with the same examples every time."""

from hypothesis import HealthCheck, settings

slow = [HealthCheck.too_slow]  # a busy machine is no fault of a property
settings.register_profile(
    "unit", deadline=None, derandomize=True, max_examples=30, suppress_health_check=slow
)
settings.load_profile("unit")
