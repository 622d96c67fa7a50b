"""How often followers of a reply read it."""

from live.follow import pause_between_reads_s


def test_many_followers_share_a_bounded_rate_of_reads_and_few_read_without_a_pause() -> None:
    assert [pause_between_reads_s(followers) for followers in (1, 2, 20, 40)] == [0] * 4
    for followers in (41, 500, 2_000, 100_000):
        assert followers / pause_between_reads_s(followers) <= 400
