"""How often a reply is looked at for those who follow it."""

import pytest

from live.follow import pause_between_reads_s


@pytest.mark.parametrize("followers", [1, 2, 20, 40])
def test_a_few_followers_need_no_rest(followers: int) -> None:
    assert pause_between_reads_s(followers) == 0


@pytest.mark.parametrize("followers", [41, 500, 2_000, 100_000])
def test_many_followers_of_a_user_look_no_more_often_together(followers: int) -> None:
    assert followers / pause_between_reads_s(followers) <= 400
