"""`annotator loop`: queue, wait for corrections, train, promote or keep, predict again; round after round.

    queued      a queue was kept and pushed                          refers to the queue
    corrected   enough was corrected, a training on it is queued     refers to the data set
    trained     the training is done                                 refers to the model version
    decided     promoted or kept, and what serves has predicted      refers to the promotion

A step is appended once its work is committed, and all work can be done again: called anew, a loop that was
interrupted anywhere goes on behind its last step. So a scheduler may call it as often as it likes.
"""

import time
from collections.abc import Sequence
from pathlib import Path

from annotator import jobs
from annotator.cli import Result
from annotator.commands.fetching import fetch_corrections
from annotator.commands.looping_steps import Loop, Means, loop_number
from annotator.commands.queueing import AUTO, DEFAULT_SIZE
from annotator.commands.training import parse_changes
from annotator.commands.training_jobs import Wish, missing_corrections
from annotator.commands.workspace import opened, say
from annotator.learning import LoopStage, TrainableBackend
from annotator.settings import read_settings

LOOK_EVERY_S = 5.0


def run_loop(
    workspace: Path,
    rounds: int = 1,
    size: int = DEFAULT_SIZE,
    strategy: str = AUTO,
    wait_s: float | None = None,
    backend: TrainableBackend = "embedded",
    least: int | None = None,
    seed: int = 0,
    changes: Sequence[str] = (),
    means: Means | None = None,
) -> Result:
    """Go on with the loop until its rounds are done, or corrections are still missing after `wait_s`.

    JobError where another process runs a loop here, or a training failed.
    """
    settings = read_settings()
    wish = Wish(backend, least=least, seed=seed, settings=parse_changes(changes))
    with opened(workspace, settings) as store, jobs.one_at_a_time(store, "loop"):
        number = loop_number(store, backend, rounds)
        loop = Loop(store, settings, wish, number, size, strategy, means or Means())
        missing = _run(loop, rounds, wait_s)
        steps = loop.steps()
    document = {
        "loop": loop.loop_id,
        "rounds": rounds,
        "missing_corrections": missing,
        "steps": [step.model_dump(mode="json") for step in steps],
    }
    lines = [f"round {step.round} {step.stage}: {step.note}" for step in steps]
    lines.append(
        f"{missing} more corrected frames are needed; the same command goes on"
        if missing
        else "all rounds are done"
    )
    return Result(document, "\n".join(lines))


def _run(loop: Loop, rounds: int, wait_s: float | None) -> int:
    """Take one stage after the other; return how many corrections are missing, 0 at the end."""
    while True:
        number, stage = loop.next_stage()
        if number > rounds:
            return 0
        if stage is LoopStage.QUEUED:
            loop.queue(number)
        elif stage is LoopStage.CORRECTED:
            missing = _wait(loop, number, wait_s)
            if missing:
                return missing
            loop.start_training(number)
        elif stage is LoopStage.TRAINED:
            loop.train(number)
        else:
            loop.decide(number)


def _wait(loop: Loop, number: int, wait_s: float | None) -> int:
    """Fetch corrections until there are enough or the time is up; return how many are missing."""
    deadline = None if wait_s is None else time.monotonic() + wait_s
    told = ""
    while True:
        hindrance = fetch_corrections(loop.store)
        missing = missing_corrections(loop.store, loop.settings, loop.wish)
        if not missing or loop.has_training(number):
            return 0
        loop.top_up(number, missing)
        if deadline is not None and time.monotonic() >= deadline:
            return missing
        line = hindrance or f"waiting for {missing} more corrected frames"
        if line != told:
            say(line)
        told = line
        time.sleep(LOOK_EVERY_S)
