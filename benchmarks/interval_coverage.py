"""How often intervals hold a known truth, and tests reject what is true, in 1,000 simulated studies each.

Run from the repository root: `python -m benchmarks.interval_coverage`.
"""

import time

from tests.review import truth

RUNS = 1000


def main() -> None:
    """Print one line for each interval and test."""
    for kind, studies, nominal in (
        ("interval", truth.INTERVALS, 0.95),
        ("test", truth.TESTS | truth.SLOW_TESTS, 0.05),
    ):
        for name, rate_of in studies.items():
            begun = time.process_time()
            rate = rate_of(RUNS)
            error = (nominal * (1 - nominal) / RUNS) ** 0.5
            print(
                f"{kind:8} {name:36} {100 * rate:5.1f} % (nominal {100 * nominal:.0f}, "
                f"{(rate - nominal) / error:+.1f} standard errors), {time.process_time() - begun:.0f} s"
            )


if __name__ == "__main__":
    main()
