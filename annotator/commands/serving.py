"""`annotator serve`: the ML backend beside a worker process, and the chores that keep store and server equal."""

import logging
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from annotator import jobs
from annotator.cli import DISCLAIMER
from annotator.commands import backend_login
from annotator.commands.following import Follower
from annotator.commands.guiding import LiveRunner, to_label_studio
from annotator.commands.inspecting import status_document
from annotator.commands.models import chosen
from annotator.commands.training_desk import TrainingDesk
from annotator.commands.workspace import opened, say
from annotator.errors import InputError, JobError, LabelStudioError
from annotator.labelstudio import process
from annotator.labelstudio.client import Client
from annotator.labelstudio.connect import open_client
from annotator.labelstudio.ordering import retire_queue
from annotator.labelstudio.pull import pull, pull_one
from annotator.settings import Settings, read_settings
from annotator.store import Links, Store

if TYPE_CHECKING:
    from fastapi import FastAPI

    from backends.opening import BackendChoice
    from backends.serving_model import ServingModel
    from backends.worker import Worker

log = logging.getLogger(__name__)

PULL_EVERY_S = 120.0


def serve_backend(
    workspace: Path,
    host: str,
    port: int | None,
    choice: Mapping[str, Any],
    *,
    review_only: bool = False,
    hosts: Sequence[str] = (),
) -> None:
    """Serve the ML backend and the review panel until interrupted; `review_only` needs no model at all."""
    settings = read_settings()
    port = port or settings.backend_port
    _check_port(host, port)
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    with opened(workspace, settings) as store:
        if review_only:
            _listen(_review_app(store, [host, *hosts]), host, port)
            return
        follower = Follower(store, chosen(choice), lambda wanted: _start(wanted, settings))
        desk = TrainingDesk(store, chosen(choice).backend)
        with _working(follower) as model, closing(desk):
            app = _whole_app(workspace, store, model, follower, desk, settings, [host, *hosts])
            login = backend_login.backend_login(workspace)
            say(f"ML backend {model.model.name} on http://{host}:{port}; its state on http://{host}:{port}/status")
            say(f"login {login.username}, password in {backend_login.path_of(workspace)}")
            _listen(app, host, port)


@contextmanager
def _working(follower: Follower) -> "Iterator[ServingModel]":
    from backends.serving_model import ServingModel

    worker = follower.first()
    model = ServingModel(worker, worker.close)
    try:
        yield model
    finally:
        model.close()


def _start(choice: "BackendChoice", settings: Settings) -> "Worker":
    from backends.opening import backend_factory
    from backends.worker import Worker

    say(f"loading the {choice.version.name if choice.version else choice.backend} model")
    return Worker(backend_factory(choice, threads=settings.threads), limit_s=settings.predict_seconds)


def _whole_app(
    workspace: Path,
    store: Store,
    model: "ServingModel",
    follower: Follower,
    desk: TrainingDesk,
    settings: Settings,
    hosts: Sequence[str],
) -> "FastAPI":
    from backends.answering import Answers
    from backends.server import create_app
    from backends.status_page import render_status
    from review.mounting import mount_review

    login = backend_login.backend_login(workspace)
    answers = Answers(store, model, limit_s=settings.predict_seconds)
    app = create_app(
        answers,
        Links(store),
        username=login.username,
        password=login.password,
        status=lambda: status_document(store),
        status_page=lambda: render_status(
            status_document(store), answers.model_version, answers.refused, follower.note
        ),
        chores=[
            _Reconciler(store),
            _working_off(store, model, settings),
            lambda: follower.follow(model),
            desk,
        ],
        trainings=desk,
    )
    mount_review(app, store, hosts=hosts, runner=LiveRunner(store, model), hand_over=to_label_studio(store))
    return app


def _review_app(store: Store, hosts: Sequence[str]) -> "FastAPI":
    from review.mounting import create_review_app

    app = create_review_app(store, hosts=hosts)

    @app.get("/health")
    async def health() -> dict[str, str]:
        return {"status": "UP"}

    return app


def _listen(app: "FastAPI", host: str, port: int) -> None:
    import uvicorn

    say(f"review panel on http://{host}:{port}/review/   {DISCLAIMER}")
    uvicorn.run(app, host=host, port=port, log_level="warning", access_log=False, timeout_graceful_shutdown=3)


def _check_port(host: str, port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise InputError(
                f"cannot listen on {host}:{port}: {error.strerror}; choose another with --port"
            ) from error


class _Reconciler:
    """Fetches each annotation that a webhook named, and all of them now and then: webhooks get lost."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._links = Links(store)
        self._next_pull = 0.0

    def __call__(self) -> None:
        events = self._links.queued_webhooks()
        is_due = time.monotonic() >= self._next_pull
        if (events or is_due) and process.status(self._store.workspace, ask=False).running:
            with open_client(self._store.workspace) as client:
                for event in events:
                    self._links.finish_webhook(event.seq, reason=self._fetch(client, event))
                self._pull(client)

    def _pull(self, client: Client) -> None:
        try:
            if time.monotonic() >= self._next_pull:
                self._next_pull = time.monotonic() + PULL_EVERY_S
                pull(self._store, client)
            retire_queue(self._store, client)
        except LabelStudioError as error:
            log.warning("corrections were not fetched, it is tried again: %s", error)

    def _fetch(self, client: Client, event: Any) -> str | None:
        """Return why an event led to nothing; unless it was a deletion, the next pull makes up for it."""
        if event.action == "ANNOTATIONS_DELETED":
            return "deleted in Label Studio; the correction is kept"
        try:
            pull_one(self._store, client, event.annotation_id)
        except LabelStudioError as error:
            self._next_pull = 0.0
            return str(error)
        return None


def _working_off(store: Store, serving: "ServingModel", settings: Settings) -> Callable[[], None]:
    """Run pre-annotation that /predict had no time for, unless a command is at it already."""

    def work_off() -> None:
        job_id = jobs.unfinished_job(store, jobs.PREANNOTATE, serving.model.name)
        if job_id is None:
            return
        try:
            with jobs.one_at_a_time(store, jobs.PREANNOTATE), serving.pinned() as model:

                def stop_when_replaced(_: int) -> None:
                    if serving.model != model.model:
                        raise JobError(f"{model.model.name} serves no more; its frames stay queued")

                jobs.run_job(store, job_id, model, batch_size=settings.batch_size, on_done=stop_when_replaced)
        except JobError as error:
            log.info("%s", error)

    return work_off
