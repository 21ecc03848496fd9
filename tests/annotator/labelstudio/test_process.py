"""Installing, starting and stopping, against programs that stand in for Label Studio."""

import json
import os
import socket
import sqlite3
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from annotator.errors import LabelStudioError
from annotator.labelstudio import credentials, environment, process
from tests.builders import a_free_port

GOOD_SERVER = """
import sys, http.server
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(b'{}')
print('up and running', flush=True)
port = int(sys.argv[sys.argv.index('--port') + 1])
http.server.ThreadingHTTPServer(('127.0.0.1', port), Handler).serve_forever()
"""
DYING_SERVER = "print('Applying migrations'); raise SystemExit('no such table: tasks')"
MIGRATING = """
import os, sqlite3
folder = os.environ['LABEL_STUDIO_BASE_DATA_DIR']
sqlite3.connect(os.path.join(folder, 'label_studio.sqlite3')).execute('CREATE TABLE task (id INTEGER)')
open(os.path.join(folder, '.env'), 'w').write('SECRET_KEY=x')
"""


def an_environment(folder: Path, program: str, version: str = environment.VERSION) -> Path:
    """An environment whose `label-studio` is a small Python program."""
    packages = folder / "lib" / "python3.11" / "site-packages"
    (packages / f"label_studio-{version}.dist-info").mkdir(parents=True)
    script = environment.program(folder)
    script.parent.mkdir(exist_ok=True)
    script.write_text(f"#!{sys.executable}\n{program}")
    script.chmod(0o755)
    environment.template_database(folder).parent.mkdir()
    sqlite3.connect(environment.template_database(folder)).close()
    environment.template_database(folder).touch()
    return folder


@pytest.fixture
def free_port() -> int:
    return a_free_port()


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "workspace"
    folder.mkdir()
    yield folder
    process.stop(folder)


def told() -> tuple[list[str], environment.Report]:
    lines: list[str] = []
    return lines, lines.append


def test_it_starts_answers_is_seen_running_and_stops(workspace: Path, tmp_path: Path, free_port: int) -> None:
    lines, report = told()
    server = process.start(workspace, an_environment(tmp_path / "env", GOOD_SERVER), free_port, report)
    assert (server.running, server.healthy, server.already_running) == (True, True, False)
    assert server.url == f"http://127.0.0.1:{free_port}"
    assert any("answers after" in line for line in lines)
    assert process.status(workspace).pid == server.pid
    assert process.stop(workspace)
    assert not process.status(workspace).running
    assert not process.stop(workspace)


def test_starting_a_second_time_says_that_it_runs(workspace: Path, tmp_path: Path, free_port: int) -> None:
    env = an_environment(tmp_path / "env", GOOD_SERVER)
    first = process.start(workspace, env, free_port, lambda line: None)
    lines, report = told()
    again = process.start(workspace, env, free_port + 1, report)
    assert again.already_running
    assert (again.url, again.pid) == (first.url, first.pid)
    assert lines == [f"Label Studio is already running on {first.url}"]


def test_a_taken_port_is_said_so_and_no_other_is_taken(workspace: Path, tmp_path: Path) -> None:
    env = an_environment(tmp_path / "env", GOOD_SERVER)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(LabelStudioError, match=rf"port {port} is in use by another program; choose another"):
            process.start(workspace, env, port, lambda line: None)
    assert not process.status(workspace).running


def test_a_server_that_dies_is_quoted(workspace: Path, tmp_path: Path, free_port: int) -> None:
    env = an_environment(tmp_path / "env", DYING_SERVER)
    with pytest.raises(LabelStudioError, match="stopped while starting: no such table: tasks"):
        process.start(workspace, env, free_port, lambda line: None)
    assert not process.status(workspace).running


def test_a_server_that_never_answers_is_given_up(
    workspace: Path, tmp_path: Path, free_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "START_LIMIT_S", 1.0)
    env = an_environment(tmp_path / "env", "import time; time.sleep(60)")
    with pytest.raises(LabelStudioError, match="does not answer on"):
        process.start(workspace, env, free_port, lambda line: None)


def test_without_an_installation_it_says_which_command_helps(workspace: Path, tmp_path: Path) -> None:
    with pytest.raises(LabelStudioError, match="run `annotator labelstudio install`"):
        process.start(workspace, tmp_path / "nothing", 8080, lambda line: None)


@pytest.mark.parametrize("content", ["", "not json", "[1]", '{"pid": 1}', '{"pid": 99999999, "port": 8080}'])
def test_a_note_that_a_dead_server_left_does_not_count(workspace: Path, content: str) -> None:
    (workspace / "labelstudio").mkdir()
    (workspace / "labelstudio" / "server.pid").write_text(content)
    assert not process.status(workspace).running
    assert not process.stop(workspace)


def test_a_workspace_without_a_server_is_not_running(tmp_path: Path) -> None:
    assert not process.status(tmp_path / "never").running


def test_stray_variables_of_the_user_do_not_reach_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in (
        "HOST",
        "PORT",
        "DEBUG",
        "LABEL_STUDIO_HOST",
        "HEARTEX_PORT",
        "SENTRY_DSN",
        "SECRET_KEY",
        "DJANGO_DB",
    ):
        monkeypatch.setenv(name, "stray")
    login = credentials.Credentials("user", "password", "token", "key")
    variables = process.server_variables(tmp_path, login)
    assert "stray" not in variables.values()
    assert variables["PATH"] == os.environ["PATH"]
    assert variables["LABEL_STUDIO_COLLECT_ANALYTICS"] == "false"
    assert variables["LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT"] == str(tmp_path / "frames")


def test_credentials_are_random_kept_private_and_stay(tmp_path: Path) -> None:
    first, other = credentials.load_or_make(tmp_path / "a"), credentials.load_or_make(tmp_path / "b")
    assert credentials.load_or_make(tmp_path / "a") == first == credentials.load(tmp_path / "a")
    assert len({first.password, other.password, first.token, other.token, first.secret_key, other.secret_key}) == 6
    assert stat.S_IMODE(credentials.path_of(tmp_path / "a").stat().st_mode) == 0o600
    assert len(first.token) == 40
    shown = repr(first)
    assert not any(secret in shown for secret in (first.password, first.token, first.secret_key))


@pytest.mark.parametrize("content", ["", "{}", "[]", "null", '{"username": "u", "extra": 1}'])
def test_broken_credentials_are_told(tmp_path: Path, content: str) -> None:
    path = credentials.path_of(tmp_path)
    path.parent.mkdir()
    path.write_text(content)
    with pytest.raises(LabelStudioError, match="cannot be read as credentials"):
        credentials.load(tmp_path)


def test_credentials_lost_beside_an_old_database_are_told_before_it_starts(
    workspace: Path, tmp_path: Path, free_port: int
) -> None:
    env = an_environment(tmp_path / "env", GOOD_SERVER)
    process.start(workspace, env, free_port, lambda line: None)
    process.stop(workspace)
    credentials.path_of(workspace).unlink()
    with pytest.raises(LabelStudioError, match=r"credentials.json is missing but its database is there: bring it"):
        process.start(workspace, env, free_port, lambda line: None)


def test_missing_credentials_say_that_it_was_never_started(tmp_path: Path) -> None:
    with pytest.raises(LabelStudioError, match="annotator labelstudio start"):
        credentials.load(tmp_path)


def test_secrets_are_not_among_the_arguments_nor_in_the_log(
    workspace: Path, tmp_path: Path, free_port: int
) -> None:
    env = an_environment(tmp_path / "env", f"import sys; print(sys.argv)\n{GOOD_SERVER}")
    server = process.start(workspace, env, free_port, lambda line: None)
    login = credentials.load(workspace)
    log = server.log.read_text()
    assert "--port" in log
    assert not any(secret in log for secret in (login.password, login.token, login.secret_key))


def test_installing_again_changes_nothing(tmp_path: Path) -> None:
    lines, report = told()
    assert not environment.install(an_environment(tmp_path / "env", GOOD_SERVER), report)
    assert "is installed" in lines[0]


def test_the_template_database_is_made_by_label_studio_itself_without_its_secret_key(tmp_path: Path) -> None:
    env = an_environment(tmp_path / "env", MIGRATING)
    environment.template_database(env).unlink()
    assert environment.install(env, lambda line: None)
    assert [path.name for path in (env / "template").iterdir()] == ["label_studio.sqlite3"]
    assert not (env / "template.part").exists()
    with sqlite3.connect(environment.template_database(env)) as database:
        assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_a_failing_preparation_is_quoted_and_can_be_repeated(tmp_path: Path) -> None:
    env = an_environment(tmp_path / "env", "raise SystemExit('disk is full')")
    environment.template_database(env).unlink()
    for _ in range(2):
        with pytest.raises(LabelStudioError, match="cannot prepare its database: disk is full"):
            environment.install(env, lambda line: None)
    assert not environment.is_installed(env)


def test_another_version_does_not_count_as_installed(tmp_path: Path) -> None:
    env = an_environment(tmp_path / "env", GOOD_SERVER, version="1.0.0")
    assert environment.installed_version(env) == "1.0.0"
    assert not environment.is_installed(env)


def test_a_failing_pip_is_quoted(tmp_path: Path) -> None:
    env = tmp_path / "env"
    (env / "bin").mkdir(parents=True)
    (env / "bin" / "python").write_text("#!/bin/sh\necho Collecting x\necho 'ERROR: no network'\nexit 1\n")
    (env / "bin" / "python").chmod(0o755)
    with pytest.raises(LabelStudioError, match=r"pip could not install label-studio==.*: ERROR: no network"):
        environment.install(env, lambda line: None)


def test_the_lock_file_pins_label_studio_and_everything_it_needs() -> None:
    lock = (Path(environment.__file__).parent / "requirements.lock").read_text().splitlines()
    pins = [line for line in lock if not line.startswith("#")]
    assert f"label-studio=={environment.VERSION}" in pins
    assert all(line.count("==") == 1 for line in pins)
    assert len(pins) > 100


def test_the_note_of_a_running_server_holds_no_secret(workspace: Path, tmp_path: Path, free_port: int) -> None:
    process.start(workspace, an_environment(tmp_path / "env", GOOD_SERVER), free_port, lambda line: None)
    noted = json.loads((workspace / "labelstudio" / "server.pid").read_text())
    assert set(noted) == {"pid", "port"}
