"""Trainings that are killed at random moments, writes included, end as one that is not."""

import pytest

from tests.training import killed


@pytest.mark.full
def test_killed_twenty_times(tmp_path):
    found = killed.run(tmp_path, kills=20, seed=0)
    assert found["inside"] >= 3  # kills that fell into a write: measured were 9 to 12
    assert found["arrays"] > 100
    # Bitwise, as all three backends are deterministic on a CPU, with one thread or more.
    assert found["unlike"] == 0
    assert found["most"] == 0
