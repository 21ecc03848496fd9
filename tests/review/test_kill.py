"""A server that is killed while readers grade: what was answered as saved is there, and everybody goes on."""

import contextlib
import itertools
import os
import random
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from annotator.store import Store
from annotator.store.studies import Studies
from tests.builders import a_free_port
from tests.review.reading import JSON, PASSWORD, a_study

KILLS = 20
ROOT = Path(__file__).resolve().parents[2]


class Servers:
    """Real server processes over one workspace, one after the other."""

    def __init__(self, workspace: Path) -> None:
        command = [sys.executable, "-m", "tests.review.zygote", str(workspace)]
        self._zygote = subprocess.Popen(command, cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._answer() == "ready"

    def start(self) -> tuple[int, str]:
        """Return the process id and address of a server that answers."""
        port = a_free_port()
        assert self._zygote.stdin is not None
        self._zygote.stdin.write(f"{port}\n")
        self._zygote.stdin.flush()
        pid, address = int(self._answer()), f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            with contextlib.suppress(httpx.TransportError):
                httpx.get(f"{address}/login")
                return pid, address
            time.sleep(0.01)
        raise AssertionError("the server did not start")

    def close(self) -> None:
        self._zygote.kill()
        self._zygote.wait()

    def _answer(self) -> str:
        assert self._zygote.stdout is not None
        return self._zygote.stdout.readline().strip()


@pytest.fixture
def servers(store: Store) -> Iterator[Servers]:
    a_study(store, 40)
    opened = Servers(store.workspace)
    yield opened
    opened.close()


@dataclass
class Worker:
    """A reader who grades until the server is gone, and sends what was not answered again to the next one."""

    cookies: httpx.Cookies
    waiting: dict[str, Any] | None = None
    saved: dict[str, int] = field(default_factory=dict)

    def work(self, address: str, kill: Callable[[], None], after: int) -> None:
        """Grade until the server is gone; ask for its end when so many grades are saved."""
        with (
            contextlib.suppress(httpx.TransportError),
            httpx.Client(base_url=address, cookies=self.cookies, headers=JSON) as client,
        ):
            study = client.get("/review/api/state").json()["studies"][0]["study"]
            for count in itertools.count(1):
                self._grade_next(client, study)
                if count == after:
                    kill()

    def _grade_next(self, client: httpx.Client, study: str) -> None:
        if self.waiting is None:
            document = client.get("/review/api/case", params={"study": study}).json()
            slot, dimension = next(
                (slot["slot"], dimension)
                for slot in document["slots"]
                for dimension, saved in slot["saved"].items()
                if saved is None
            )
            body = {"case": document["case"], "slot": slot, "dimension": dimension, "client_id": uuid.uuid4().hex}
            self.waiting = {**body, "grade": len(self.saved) % 3 + 1}
        answer = client.post("/review/api/grade", json=self.waiting)
        assert answer.status_code == 200, answer.text
        assert answer.json()["saved"]["grade"] == self.waiting["grade"]
        self.saved[self.waiting["client_id"]] = self.waiting["grade"]
        self.waiting = None


def test_after_twenty_kills_every_grade_that_was_answered_is_there_once(store: Store, servers: Servers) -> None:
    moments = random.Random(1)
    worker: Worker | None = None
    for _ in range(KILLS):
        pid, address = servers.start()
        if worker is None:
            login = httpx.post(f"{address}/login", data={"login": "anna", "password": PASSWORD})
            worker = Worker(login.cookies)
        # At any moment of a request: while it is read, written, committed or answered.
        kill = threading.Timer(moments.uniform(0.0, 0.04), os.kill, (pid, signal.SIGKILL))
        worker.work(address, kill.start, after=moments.randint(1, 4))
        kill.join()
    assert worker is not None
    with Studies(store).reading() as rows:
        scores = rows.scores_of_study(rows.study_ids()[0])
    stored = {score.client_id: score.grade for score in scores}
    assert len(stored) == len(scores)
    assert worker.saved.items() <= stored.items()
    assert set(stored) - set(worker.saved) <= {(worker.waiting or {}).get("client_id")}
    assert len(worker.saved) >= KILLS
    assert store.verify().problems == []
