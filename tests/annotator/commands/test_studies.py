"""Reader studies from the command line: accounts, a study, its status, its report, what is refused."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import pytest

from annotator.cli import main
from annotator.store import Store
from annotator.store.studies import Studies
from tests.builders import keep_frames
from tests.review.reading import VERSIONS, a_server, predict_all


class Outcome(NamedTuple):
    """How a command ended."""

    exit_code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        parsed: dict[str, Any] = json.loads(self.out)
        return parsed


Run = Callable[..., Outcome]


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """Twelve frames, each predicted by three versions of one backend."""
    store = Store(tmp_path / "workspace")
    predict_all(store, keep_frames(store, 12))
    store.close()
    return tmp_path / "workspace"


@pytest.fixture
def run(workspace: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.delenv("ANNOTATOR_WORKSPACE", raising=False)

    def typed(*words: object, stdin: str = "") -> Outcome:
        capfd.readouterr()
        monkeypatch.setattr("sys.stdin", io.StringIO(stdin))
        with pytest.raises(SystemExit) as ended:
            main(["--workspace", str(workspace), *map(str, words)])
        captured = capfd.readouterr()
        return Outcome(int(ended.value.code or 0), captured.out, captured.err)

    return typed


def with_accounts(run: Run, *logins: str) -> dict[str, str]:
    return {login: run("study", "account", login, "--json").document["password"] for login in logins}


def create(run: Run, *more: object) -> Outcome:
    versions = [word for version in VERSIONS for word in ("--version", version)]
    return run("study", "create", "pilot", *versions, "--reader", "anna", "--reader", "ben", "--json", *more)


def test_a_study_goes_from_accounts_to_a_report(run: Run, workspace: Path, tmp_path: Path) -> None:
    passwords = with_accounts(run, "anna", "ben")
    made = create(run, "--limit", 6, "--washout-days", 0).document
    assert (made["frames"], made["versions"]) == (6, list(VERSIONS))
    assert [(one["reader"], one["cases"], one["repeats"]) for one in made["readers"]] == [
        ("anna", 7, 1),
        ("ben", 7, 1),
    ]
    assert made["power"]["power"][0]["mean_difference"] == 0.05
    assert run("study", "report", "pilot").err.strip().endswith("nothing has been graded yet in study 'pilot'")
    store = Store(workspace)
    server = a_server(store)
    for login in ("anna", "ben"):
        server.reader(login, passwords[login]).read_all(1 if login == "anna" else 2)
    store.close()
    assert "anna: 7 of 7 cases, 42 grades" in run("study", "status").out
    exported = run("export", "scores", tmp_path / "out", "--json").document
    assert exported["grades"] == 84
    scores = pd.read_csv(tmp_path / "out" / "scores.csv")
    assert set(scores["version"]) == set(VERSIONS)
    assert len(pd.read_csv(tmp_path / "out" / "plan.csv")) == 14
    assert (tmp_path / "out" / "codebook.csv").exists()
    report = run("study", "report", "pilot", "--out", tmp_path / "report", "--json").document
    assert Path(report["files"]["report"]).stat().st_size > 10_000
    assert (tmp_path / "report" / "plan.csv").exists()
    assert report["data"]["grades"] == 84
    assert run("verify").exit_code == 0


def test_a_generated_password_is_told_once_and_kept_as_a_hash(run: Run, workspace: Path) -> None:
    password = with_accounts(run, "anna")["anna"]
    assert len(password) >= 20
    assert password.encode() not in (workspace / "annotator.db").read_bytes()
    assert password not in run("study", "status", "--json").out
    chosen = run("study", "account", "ben", "--role", "curator", "--password-stdin", stdin="my own password\n")
    assert chosen.out.strip() == "ben: curator"


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("study", "create", "x", "--reader", "anna"), "which outputs are compared?"),
        (("study", "create", "x", "--version", "nope", "--reader", "anna"), "'nope' has no prediction"),
        (("study", "create", "x", "--backend", "nope", "--reader", "anna"), "no version of 'nope'"),
        (("study", "create", "x", "--backend", "fada"), "needs a reader"),
        (("study", "create", "x", "--backend", "fada", "--reader", "zoe"), "annotator study account zoe"),
        (
            ("study", "create", "x", "--backend", "fada", "--reader", "anna", "--split", "no"),
            "no prediction of these",
        ),
        (("study", "create", "x", "--backend", "fada", "--frames", "absent.txt"), "cannot be read as a list"),
        (("study", "create", "x", "--backend", "fada", "--add-cases"), "no study named 'x'"),
        (("study", "account", "<b>"), "login '<b>'"),
        (("study", "account", "anna", "--password-stdin"), "10 to 200"),
        (("study", "status", "x"), "no study named 'x'"),
        (("study", "report", "x"), "no study named 'x'"),
        (("study", "report"), "name a study"),
        (("study", "withdraw", "x", "y"), "no study named 'x'"),
        (("study", "unblind", "x", "--as", "anna", "--password-stdin"), "wrong login or password"),
        (("export", "scores", "out"), "nothing has been graded"),
    ],
)
def test_what_cannot_be_done_is_told_in_one_line(run: Run, words: tuple[str, ...], complaint: str) -> None:
    with_accounts(run, "anna")
    ended = run(*words, stdin="short\n")
    assert ended.exit_code == 1
    assert complaint in ended.err.strip().splitlines()[-1]
    assert ended.out == ""


def test_one_reader_is_warned_that_no_agreement_can_be_computed(run: Run) -> None:
    with_accounts(run, "anna")
    made = run("study", "create", "x", "--backend", "fada", "--reader", "anna")
    assert "one reader" in made.err
    assert "no agreement between readers can be computed" in made.err


def test_frames_can_be_named_in_a_file_and_a_limit_draws_the_same_each_time(run: Run, tmp_path: Path) -> None:
    with_accounts(run, "anna", "ben")
    listed = tmp_path / "frames.txt"
    listed.write_text("frame003.png\nframe007.png\n\n")
    assert create(run, "--frames", listed).document["frames"] == 2
    added = run("study", "create", "pilot", "--add-cases", "--limit", 3, "--json").document
    assert added["frames"] == 5


def test_a_wrong_administrator_unblinds_nothing_and_the_right_one_is_in_the_chain(
    run: Run, workspace: Path
) -> None:
    with_accounts(run, "anna", "ben")
    create(run, "--limit", 2)
    for login, role in (("boss", "administrator"), ("chief", "curator")):
        run("study", "account", login, "--role", role, "--password-stdin", stdin="a long password\n")
    for login, password in (("boss", "wrong password"), ("chief", "a long password")):
        refused = run("study", "unblind", "pilot", "--as", login, "--password-stdin", stdin=f"{password}\n")
        assert refused.exit_code == 1
        assert VERSIONS[0] not in refused.out
    opened = run("study", "unblind", "pilot", "--as", "boss", "--password-stdin", stdin="a long password\n")
    assert all(version in opened.out for version in VERSIONS)
    store = Store(workspace)
    with Studies(store).reading() as rows:
        study = rows.study_named("pilot")
    store.close()
    assert study is not None
    assert study.unblinded_by == "boss"
    assert run("verify").exit_code == 0
