"""Builders for the review panel: a workspace with a study, a clock that obeys, and readers who work over HTTP."""

import hashlib
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from fastapi import FastAPI
from starlette.testclient import TestClient

from annotator.schema import Frame, Interpretation, Prediction
from annotator.store import Store
from annotator.studies import Account, Role, Study
from review.mounting import mount_review
from review.service import Service
from review.setup import StudyWish, create_study
from tests.builders import a_finding, a_mask, a_masked_finding, a_model, a_prediction, keep_frames

VERSIONS = ("skd-4b-9f3a", "fkd-4b-77c1", "base-4b-01d2")
PASSWORD = "correct horse battery"
JSON = {"x-annotator": "1"}
# Hashing is slow on purpose; what a hash costs stands in it, so that tests can do with a cheap one.
_SALT = bytes(16)
_DIGEST = hashlib.scrypt(PASSWORD.encode(), salt=_SALT, n=16, r=8, p=1, dklen=32)
_HASH = f"scrypt$16$8$1${_SALT.hex()}${_DIGEST.hex()}"


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.at = datetime(2026, 3, 1, 8, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.at

    def move(self, **how_far: float) -> None:
        self.at += timedelta(**how_far)


def some_text(**more: str) -> Interpretation:
    words = {
        "anatomical_structures": "Skull, midline echo, CSP",
        "imaging_plane": "Transthalamic plane",
        "normality_assessment": "Normal",
    }
    return Interpretation(**{**words, **more})


def predict_all(store: Store, frames: Sequence[Frame], versions: Sequence[str] = VERSIONS) -> list[Prediction]:
    """Store a written and outlined prediction of every frame by every version."""
    predictions = [
        a_prediction(
            frame,
            version,
            findings=(a_masked_finding(a_mask(), score=0.9), a_finding("CSP", (8, 7, 14, 10), score=0.7)),
            plane="Trans-thalamic",
            interpretation=some_text(gestational_age=f"{20 + place} weeks"),
            mapping_tier="imaging plane",
            mapping_evidence=("imaging_plane: transthalamic",),
            asked_for={"detect": ("Brain", "CSP"), "segment": ("Brain",)},
        )
        for frame in frames
        for place, version in enumerate(versions)
    ]
    for version in versions:
        store.add_model_version(a_model(version, "fada"))
    with store.writing() as connection:
        store.add_predictions(connection, predictions)
    return predictions


def add_account(store: Store, login: str, role: Role = Role.READER) -> None:
    from annotator.store.studies import Studies

    with Studies(store).writing() as rows:
        rows.add_account(Account(login=login, role=role, password_hash=_HASH))


def a_study(
    store: Store,
    frames: Sequence[Frame] | int = 4,
    *,
    readers: Sequence[str] = ("anna",),
    versions: Sequence[str] = VERSIONS,
    clock: Clock | None = None,
    predicted: bool = False,
    **wish: Any,
) -> Study:
    """A study of `frames` with predictions by all versions; its readers get accounts."""
    frames = keep_frames(store, frames) if isinstance(frames, int) else frames
    if not predicted:
        predict_all(store, frames, versions)
    for reader in readers:
        add_account(store, reader)
    wish.setdefault("name", "pilot")
    wish.setdefault("repeats", 0.0)
    ids = [frame.frame_id for frame in frames]
    asked = StudyWish(versions=versions, readers=readers, frame_ids=ids, **wish)
    return create_study(store, asked, clock=clock or Clock())


@dataclass
class Server:
    """The panel without its page, in this process."""

    app: FastAPI
    service: Service

    def reader(self, login: str, password: str = PASSWORD) -> "Reader":
        """A browser of its own, logged in."""
        client = TestClient(self.app, base_url="http://localhost", follow_redirects=False)
        answer = client.post("/login", data={"login": login, "password": password})
        assert answer.status_code == 303, answer.text
        return Reader(client)


def a_server(store: Store, clock: Clock | None = None, **more: Any) -> Server:
    app = FastAPI(openapi_url=None)
    service = mount_review(app, store, clock=clock or Clock(), with_page=False, **more)
    return Server(app, service)


@dataclass
class Reader:
    """Somebody at work: each method is one request."""

    client: TestClient

    def get(self, path: str, **query: Any) -> Any:
        return self.client.get(f"/review/api/{path}", params=query)

    def post(self, path: str, **body: Any) -> Any:
        return self.client.post(f"/review/api/{path}", json=body, headers=JSON)

    def study_id(self) -> str:
        return str(self.get("state").json()["studies"][0]["study"])

    def case(self, token: str | None = None) -> dict[str, Any]:
        answer = self.get("case", study=self.study_id(), **({"case": token} if token else {}))
        assert answer.status_code == 200, answer.text
        document: dict[str, Any] = answer.json()
        return document

    def grade(self, case: str, slot: str = "A", dimension: str = "annotation", grade: Any = 1, **more: Any) -> Any:
        body = {"case": case, "slot": slot, "dimension": dimension, "grade": grade, **more}
        body.setdefault("client_id", uuid.uuid4().hex)
        return self.post("grade", **body)

    def grade_all(self, document: dict[str, Any], grade: Any = 1) -> dict[str, Any]:
        """Grade every slot in every dimension; return the last answer."""
        answer: dict[str, Any] = {}
        for slot in document["slots"]:
            for dimension in document["dimensions"]:
                sent = self.grade(document["case"], slot["slot"], dimension, grade, seconds=3.5)
                assert sent.status_code == 200, sent.text
                answer = sent.json()
        return answer

    def read_all(self, grade: Any = 1) -> list[str]:
        """Grade case after case until there is none; return their tokens."""
        tokens = []
        while "case" in (document := self.case()):
            tokens.append(document["case"])
            self.grade_all(document, grade)
        return tokens
