"""The guard, the roles and the blinding: who gets in, what each may do, and that nothing tells a model's name."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient

from annotator.schema import Interpretation
from annotator.store import Store
from annotator.store.studies import Studies
from annotator.studies import Arm, Role
from review.login_page import safe_next
from review.mounting import mount_review
from tests.builders import a_model, a_prediction, keep_frames
from tests.review.reading import (
    JSON,
    PASSWORD,
    VERSIONS,
    Reader,
    Server,
    a_server,
    a_study,
    add_account,
)

PATHS = [
    ("GET", "/review/api/state"),
    ("GET", "/review/api/case?study=x"),
    ("GET", "/review/api/next?study=x&after=y"),
    ("GET", "/review/api/frame/00000000000000000000000000000000.png"),
    ("POST", "/review/api/grade"),
    ("POST", "/review/api/draft"),
    ("POST", "/review/api/guided/own_view"),
    ("POST", "/review/api/guided/interpretation"),
    ("POST", "/review/api/guided/targets"),
    ("GET", "/review/api/guided/run?case=x"),
    ("POST", "/review/api/guided/cancel"),
    ("POST", "/review/api/guided/geometry"),
    ("GET", "/review/api/guided/geometry?case=x"),
    ("POST", "/review/api/guided/labelstudio"),
    ("GET", "/review/gradio_api/startup-events"),
    ("GET", "/review/config"),
    ("GET", "/review/theme.css"),
    ("POST", "/review/gradio_api/upload"),
]


def a_browser(server: Server) -> TestClient:
    return TestClient(server.app, base_url="http://localhost", follow_redirects=False)


def a_visitor(store: Store, **more: Any) -> TestClient:
    return a_browser(a_server(store, **more))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with a study of one case, which nothing of what is refused may change."""
    opened = Store(tmp_path_factory.mktemp("guarded") / "workspace")
    a_study(opened, 1)
    yield a_server(opened)
    opened.close()


@pytest.mark.parametrize(("method", "path"), PATHS)
def test_without_a_login_everything_below_review_is_closed(server: Server, method: str, path: str) -> None:
    answer = a_browser(server).request(method, path, headers=JSON, json={} if method == "POST" else None)
    assert answer.status_code == 401
    assert answer.json() == {"error": "not logged in"}


@pytest.mark.parametrize(
    "cookie", ["", "x", "0" * 43, "a" * 4000, '"; DROP', "\u00e9".encode("latin-1").decode("latin-1")]
)
def test_a_forged_session_is_turned_away(server: Server, cookie: str) -> None:
    visitor = a_browser(server)
    headers = {"cookie": f"annotator_review={cookie}".encode("latin-1")}
    assert visitor.get("/review/api/state", headers=headers).status_code == 401  # type: ignore[arg-type]


@pytest.mark.parametrize("path", ["/review", "/review/"])
def test_a_page_without_a_login_leads_to_the_login_and_back(store: Store, path: str) -> None:
    a_study(store, 1)
    visitor = a_visitor(store)
    answer = visitor.get(f"{path}?study=7")
    assert answer.status_code == 303
    assert answer.headers["location"] == "/login?next=/review/%3Fstudy%3D7"
    page = visitor.get(answer.headers["location"])
    assert page.status_code == 200
    assert 'value="/review/?study=7"' in page.text
    form = {"login": "anna", "password": PASSWORD, "next": "/review/?study=7"}
    assert visitor.post("/login", data=form).headers["location"] == "/review/?study=7"


@pytest.mark.parametrize(
    "path",
    [
        "https://evil.example/",
        "//evil.example",
        "/\\evil",
        "javascript:alert(1)",
        "/review/..//x",
        "/status",
        "",
        "/review\n",
    ],
)
def test_after_the_login_nobody_is_sent_elsewhere(path: str) -> None:
    assert safe_next(path) == "/review/"


def test_the_cookie_cannot_be_read_by_scripts_nor_sent_by_other_sites_and_ends(store: Store) -> None:
    a_study(store, 1)
    cookie = a_visitor(store).post("/login", data={"login": "anna", "password": PASSWORD}).headers["set-cookie"]
    for mark in ("HttpOnly", "SameSite=strict", "Max-Age=43200", "Path=/"):
        assert mark in cookie
    secure = TestClient(a_server(store).app, base_url="https://localhost", follow_redirects=False)
    assert "Secure" in secure.post("/login", data={"login": "anna", "password": PASSWORD}).headers["set-cookie"]


def test_a_wrong_password_is_told_without_telling_whether_the_account_exists(store: Store) -> None:
    a_study(store, 1)
    visitor = a_visitor(store)
    wrong = visitor.post("/login", data={"login": "anna", "password": "wrong"})
    nobody = visitor.post("/login", data={"login": "nobody", "password": "wrong"})
    assert wrong.status_code == nobody.status_code == 401
    assert wrong.text == nobody.text
    assert 'role="alert"' in wrong.text


def test_many_wrong_passwords_are_told_to_wait(store: Store) -> None:
    a_study(store, 1)
    visitor = a_visitor(store)
    codes = [visitor.post("/login", data={"login": "anna", "password": "wrong"}).status_code for _ in range(7)]
    assert codes == [401] * 5 + [429] * 2
    assert "wait" in visitor.post("/login", data={"login": "anna", "password": PASSWORD}).text


def test_markup_in_a_login_attempt_comes_back_as_text(store: Store) -> None:
    page = a_visitor(store).post("/login", data={"login": "<script>", "password": "x", "next": '"><script>'})
    assert "<script>" not in page.text


def test_logging_out_ends_the_session_on_the_server(store: Store) -> None:
    a_study(store, 1)
    reader = a_server(store).reader("anna")
    cookie = reader.client.cookies["annotator_review"]
    assert reader.client.post("/logout").headers["location"] == "/login"
    answer = reader.client.get("/review/api/state", headers={"cookie": f"annotator_review={cookie}"})
    assert answer.status_code == 401


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://localhost:9999", "http://localhost.evil.example"]
)
@pytest.mark.parametrize("path", ["/login", "/review/api/grade", "/review/gradio_api/queue/join", "/logout"])
def test_requests_that_another_page_makes_are_refused(server: Server, origin: str, path: str) -> None:
    reader = server.reader("anna")
    answer = reader.client.post(path, headers={**JSON, "origin": origin}, json={})
    assert answer.status_code == 403
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("host", ["evil.example", "evil.example:9090", "localhost.evil.example", ""])
def test_the_name_of_another_host_is_refused(store: Store, host: str) -> None:
    assert a_visitor(store).get("/login", headers={"host": host}).status_code == 400
    assert (
        a_visitor(store, hosts=["reading.hospital.example"])
        .get("/login", headers={"host": "reading.hospital.example:8443"})
        .is_success
    )


@pytest.mark.parametrize(
    "headers",
    [{}, {"x-annotator": "0"}, {"x-annotator": "1", "content-type": "text/plain"}, {"content-type": "text/plain"}],
)
def test_a_post_needs_json_and_our_header(server: Server, headers: dict[str, str]) -> None:
    reader = server.reader("anna")
    headers = {"content-type": "application/json", **headers}
    answer = reader.client.post("/review/api/grade", content=b"{}", headers=headers)
    assert answer.status_code in (400, 403)


def test_a_body_that_does_not_say_how_long_it_is_is_cut_off(server: Server) -> None:
    reader = server.reader("anna")
    chunks = (b"x" * 65_536 for _ in range(10))
    headers = {"content-type": "application/json", **JSON}
    assert reader.client.post("/review/api/grade", content=chunks, headers=headers).status_code == 413


def test_every_answer_carries_the_security_headers(store: Store) -> None:
    a_study(store, 1)
    reader = a_server(store).reader("anna")
    for path in ("/login", "/review/api/state", "/review/", reader.case()["frame"]["url"]):
        headers = reader.client.get(path).headers
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert "default-src" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["referrer-policy"] == "same-origin"
        assert headers["cache-control"]
    assert "script-src" not in reader.client.get("/login").headers["content-security-policy"]


def test_other_paths_of_the_server_are_left_alone(store: Store) -> None:
    app = FastAPI()
    app.add_api_route("/health", lambda: PlainTextResponse("up"))
    app.add_api_route("/reviewers", lambda: PlainTextResponse("not ours"))
    mount_review(app, store, with_page=False)
    visitor = TestClient(app, base_url="http://other.example")
    assert visitor.get("/health", headers={"origin": "http://x"}).text == "up"
    assert visitor.get("/reviewers").text == "not ours"
    assert "content-security-policy" not in visitor.get("/health").headers


def test_behind_a_prefix_everything_is_closed_as_well(store: Store) -> None:
    visitor = TestClient(a_server(store).app, base_url="http://localhost", root_path="/sub")
    for path in ("/sub/review/api/state", "/sub/review/config"):
        assert visitor.get(path).status_code == 401


# Roles


@pytest.mark.parametrize("role", [Role.CURATOR, Role.ADMINISTRATOR])
def test_who_prepares_a_study_cannot_grade_in_it(store: Store, role: Role) -> None:
    study = a_study(store, 1)
    add_account(store, "chief", role)
    server = a_server(store)
    chief, token = server.reader("chief"), server.reader("anna").case()["case"]
    assert chief.get("state").json() | {"version": ""} == {
        "reader": "chief",
        "role": role,
        "studies": [],
        "version": "",
    }
    assert chief.get("case", study=study.study_id).status_code == 403
    assert chief.get("case", study=study.study_id, case=token).status_code == 403
    assert chief.get(f"frame/{token}.png").status_code == 403
    assert chief.grade(token).status_code == 403
    assert chief.post("draft", case=token, draft={}).status_code == 403


def test_a_reader_sees_neither_cases_nor_frames_nor_studies_of_another(store: Store) -> None:
    study = a_study(store, 2, readers=("anna", "ben"))
    add_account(store, "carl")
    server = a_server(store)
    token = server.reader("anna").case()["case"]
    for other in (server.reader("ben"), server.reader("carl")):
        assert other.get("case", study=study.study_id, case=token).status_code == 403
        assert other.get("next", study=study.study_id, after=token).status_code == 403
        assert other.get(f"frame/{token}.png").status_code == 403
        for answer in (
            other.grade(token),
            other.post("draft", case=token, draft={}),
            other.post("guided/own_view", case=token, plane="other", normality="unsure"),
        ):
            assert answer.status_code == 403
    assert server.reader("carl").get("case", study=study.study_id).status_code == 404
    assert server.reader("carl").get("state").json()["studies"] == []


def test_a_role_taken_away_ends_with_the_next_request(store: Store) -> None:
    a_study(store, 1)
    server = a_server(store)
    reader = server.reader("anna")
    token = reader.case()["case"]
    add_account(store, "anna", Role.CURATOR)
    assert reader.grade(token).status_code == 403


# Blinding

HIDDEN_WORDS = (
    *VERSIONS,
    "skd-4b",
    "fkd-4b",
    "unsloth",
    "Qwen3.5-4B",
    "0123456789abcdef",
    "fada",
    "017_hc_set_a",
    "frame000",
    "hc18_leuven",
    "made up",
    "ben-the-other-reader",
    "pilot",
    "Leuven",
    "GE Voluson",
    "s0042",
    "0.93",
)


def a_telling_study(store: Store, arm: Arm = Arm.BOTH) -> Reader:
    """Everything that could tell a version is said by the models themselves, in the frames and in the study."""
    frames = [
        frame.model_copy(
            update={
                "source_file": "017_hc_set_a.png",
                "source": "hc18_leuven",
                "subject": "s0042",
                "site": "Leuven",
            }
        ).model_copy(update={"scanner": "GE Voluson"})
        for frame in keep_frames(store, 3)
    ]
    store.add_frames(frames)
    model = a_model().model_copy(update={"base": "unsloth/Qwen3.5-4B", "content_hash": "0123456789abcdef"})
    says = (
        "I am {0}, a FADA model on unsloth/Qwen3.5-4B (Qwen3.5-4B, 0123456789abcdef). 017_hc_set_a.png, hc18_leuven"
    )
    for version in VERSIONS:
        store.add_model_version(model.model_copy(update={"name": version}))
    predictions = [
        a_prediction(
            frame,
            version,
            interpretation=Interpretation(
                image_quality=says.format(version), imaging_plane=says.format(version.upper())
            ),
            findings=a_prediction(frame).findings[:1],
            plane="Trans-thalamic",
            plane_score=0.93,
            mapping_tier="imaging plane",
            mapping_evidence=(says.format(version),),
            raw_texts={"interpret": says.format(version)},
            provenance={"adapter": version},
        )
        for frame in frames
        for version in VERSIONS
    ]
    with store.writing() as connection:
        store.add_predictions(connection, predictions)
    known = [store.frame(frame.frame_id) for frame in frames]
    a_study(
        store,
        [frame for frame in known if frame],
        readers=("anna", "ben-the-other-reader"),
        arm=arm,
        predicted=True,
        washout_days=0,
    )
    return a_server(store).reader("anna")


def test_no_byte_of_a_blinded_session_tells_a_model_a_file_a_source_or_another_reader(store: Store) -> None:
    reader = a_telling_study(store)
    received: list[bytes] = []

    def note(response: Any) -> None:
        response.read()
        received.append(response.content + json.dumps(dict(response.headers)).encode() + str(response.url).encode())

    reader.client.event_hooks["response"].append(note)
    reader.client.get("/login")
    reader.client.get("/review/")
    reader.client.get("/review/api/frame/unknown.png")
    reader.grade("unknown")
    for _ in range(6):
        document = reader.case()
        token = document["case"]
        reader.get("next", study=document["study"], after=token)
        reader.client.get(document["frame"]["url"])
        if document["mode"] == "guided":
            reader.post("guided/own_view", case=token, plane="other", normality="unsure", seconds=1)
            reader.post("guided/interpretation", case=token, fields={}, seconds=1)
            reader.post("guided/targets", case=token, detect=["CSP"], segment=[], seconds=1)
            reader.get("guided/run", case=token)
        reader.grade_all(document)
        reader.post("guided/geometry", case=token, accepted=True, seconds=1)
        reader.get("guided/geometry", case=token)
        reader.post("guided/labelstudio", case=token)
        reader.get("case", study=document["study"], case=token)
        reader.post("draft", case=token, draft={"comment": "x"})
    assert reader.case()["finished"]
    everything = b"\n".join(received).lower()
    assert len(received) > 80
    assert b"[...], a [...] model" in everything
    for word in HIDDEN_WORDS:
        assert word.lower().encode() not in everything, word
    for frame in store.frames():
        assert frame.frame_id.encode() not in everything
    with store.reading() as connection:
        hidden = connection.exec_driver_sql("SELECT record_id FROM prediction").scalars().all()
    findings = [finding for one in store.newest_predictions() for finding in one.findings]
    for name in (*hidden, *(finding.finding_id for finding in findings)):
        assert name.encode() not in everything


def test_the_page_itself_is_closed_without_a_login_and_tells_nothing_with_one(store: Store) -> None:
    a_study(store, 1, readers=("anna", "ben-the-other-reader"))
    app = FastAPI(openapi_url=None)
    mount_review(app, store)
    visitor = TestClient(app, base_url="http://localhost", follow_redirects=False)
    paths = ("/review/config", "/review/gradio_api/info", "/review/page/panel.js", "/review/theme.css")
    assert [visitor.get(path).status_code for path in paths] == [401] * len(paths)
    assert visitor.get("/review/").status_code == 303
    visitor.post("/login", data={"login": "anna", "password": PASSWORD})
    for path in ("/review/", *paths):
        answer = visitor.get(path)
        assert answer.status_code == 200, path
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        told = answer.text + json.dumps(dict(answer.headers))
        for word in (*VERSIONS, "ben-the-other-reader", "frame000", "made up", str(store.workspace)):
            assert word not in told, (path, word)
    assert (
        "access-control-allow-origin" not in visitor.get("/review/", headers={"origin": "http://localhost"}).headers
    )


def test_nothing_tells_that_a_case_is_a_repeat(store: Store) -> None:
    a_study(store, 10, repeats=0.2, washout_days=0)
    reader = a_server(store).reader("anna")
    with Studies(store).reading() as rows:
        plan = {case.token: case for case in rows.presentations(rows.study_ids()[0])}
    seen: dict[str, list[dict[str, Any]]] = {}
    while "case" in (document := reader.case()):
        image = reader.client.get(document["frame"]["url"])
        seen.setdefault(plan[document["case"]].frame_id, []).append({**document, "headers": dict(image.headers)})
        reader.grade_all(document)
    twice = [shown for shown in seen.values() if len(shown) == 2]
    assert len(twice) == 2
    for first, again in twice:
        assert set(first) == set(again)
        assert "repeat" not in json.dumps(again)
        assert first["frame"]["url"] != again["frame"]["url"]
        assert first["headers"]["etag"] != again["headers"]["etag"]
        ids = [{shape["id"] for slot in shown["slots"] for shape in slot["overlay"]} for shown in (first, again)]
        assert not ids[0] & ids[1]
