"""Every phase of every flow, interrupted: what is left, and whether running it again heals."""

import pytest

pytest.register_assert_rewrite("tests.faults.stories", "tests.faults.shops")
