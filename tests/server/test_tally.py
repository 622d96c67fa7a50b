"""Requests counted in plain numbers: handed over, they are what the counters would have counted one by one."""

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

from server.tally import Durations, Tally

# Sums of halves are exact in any order.
DURATIONS_S = [0.0, 0.5, 0.5, 1.0, 2.5, 3.0, 5.0, 7.5, 10.0, 10.5, 4000.0, 0.0]


def test_what_is_handed_over_is_what_was_counted() -> None:
    plain, tallied = CollectorRegistry(), CollectorRegistry()
    counted, durations = Counter("n", "N.", registry=plain), Histogram("s", "S.", registry=plain)
    tally = Tally([Counter("n", "N.", registry=tallied)], [Durations("s", "S.", registry=tallied)])
    for rounds in (DURATIONS_S, [], DURATIONS_S[3:]):
        for duration_s in rounds:
            counted.inc()
            durations.observe(duration_s)
            tally.count(duration_s)
        tally.hand_over()
        assert shown(tallied) == shown(plain)


def shown(registry: CollectorRegistry) -> list[str]:
    return [line for line in generate_latest(registry).decode().splitlines() if "_created" not in line]
