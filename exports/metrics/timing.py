"""Time a frame took, in all and by phase."""

from collections.abc import Sequence

from exports.metrics.bootstrap import Bootstrap
from exports.metrics.cases import Case
from exports.text.resampling import Figure


def timing_figures(cases: Sequence[Case], seed: int = 0) -> Figure:
    """Mean, median and 95th percentile of the seconds a frame took; empty where no time is kept."""
    timed = [case for case in cases if case.prediction is not None and case.prediction.seconds]
    if not timed:
        return {}
    draws = Bootstrap.of(timed, seed)
    spent = [case.prediction.seconds for case in timed if case.prediction is not None]
    phases = sorted({phase for seconds in spent for phase in seconds})
    return {
        "per_frame": _spread([sum(seconds.values()) for seconds in spent], draws),
        "per_phase": {phase: _spread([seconds.get(phase) for seconds in spent], draws) for phase in phases},
    }


def _spread(seconds: Sequence[float | None], draws: Bootstrap) -> Figure:
    return {
        "mean": draws.mean(seconds),
        "p50": draws.quantile(seconds, 0.5),
        "p95": draws.quantile(seconds, 0.95),
    }
