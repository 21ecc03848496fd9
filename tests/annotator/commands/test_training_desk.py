"""`serve` never trains itself: a process of its own does, one at a time, and ends with it."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from annotator.commands.training_desk import TrainingDesk
from annotator.commands.training_jobs import ASKED, NOTE
from annotator.commands.training_runs import TRAIN
from annotator.files import exclusive_lock
from annotator.store import Links, Store
from annotator.store.learning import training_runs

LIMIT_S = 120.0


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "workspace")
    yield opened
    opened.close()


def calling_until(desk: TrainingDesk, look: Callable[[], object]) -> None:
    deadline = time.monotonic() + LIMIT_S
    while not look() and time.monotonic() < deadline:
        desk()
        time.sleep(0.1)
    assert look()


def test_a_wish_is_taken_in_by_another_process_and_why_nothing_came_of_it_is_noted(store: Store) -> None:
    desk = TrainingDesk(store, "embedded")
    desk()
    assert not (store.workspace / "logs" / "train.log").exists()  # nothing was asked for: no process
    assert desk.ask("Label Studio")
    calling_until(desk, lambda: Links(store).setting(ASKED) is None)
    calling_until(desk, lambda: not desk.is_busy)
    assert Links(store).setting(NOTE)["text"].startswith("20 more corrected frames are needed")
    assert "no training is queued" in (store.workspace / "logs" / "train.log").read_text()
    assert training_runs(store) == []


def test_while_a_command_trains_no_second_process_is_started(store: Store) -> None:
    desk = TrainingDesk(store, "embedded")
    desk.ask("status page")
    with exclusive_lock(store.workspace / "locks" / f"{TRAIN}.lock", TRAIN):
        desk()
    assert not (store.workspace / "logs" / "train.log").exists()
    desk()
    assert (store.workspace / "logs" / "train.log").exists()
    desk.close()
    desk.close()


def test_a_wish_survives_the_end_of_the_server(store: Store) -> None:
    desk = TrainingDesk(store, "embedded")
    desk.ask("Label Studio")
    desk()
    desk.close()
    assert Links(store).setting(ASKED) is not None or Links(store).setting(NOTE) is not None
