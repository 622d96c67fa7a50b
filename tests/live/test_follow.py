"""How often followers of a reply read it."""

import pytest

from live.follow import pause_between_reads_s


@pytest.mark.parametrize("followers", [1, 2, 20, 40])
def test_few_followers_read_without_a_pause(followers: int) -> None:
    assert pause_between_reads_s(followers) == 0


@pytest.mark.parametrize("followers", [41, 500, 2_000, 100_000])
def test_many_followers_share_a_bounded_rate_of_reads(followers: int) -> None:
    assert followers / pause_between_reads_s(followers) <= 400
