"""`annotator demo`: the whole loop on this machine, for a person to try or, with --check, by itself."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import webbrowser
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from annotator.cli import DISCLAIMER, Result
from annotator.commands import backend_login
from annotator.commands import labelstudio as labelstudio_commands
from annotator.commands.importing import add_simulated_frames, import_images
from annotator.commands.models import as_arguments, chosen, open_backend, run_preannotation, serving_choice
from annotator.commands.workspace import opened, say
from annotator.errors import AnnotatorError, InputError
from annotator.labelstudio import credentials, environment, process
from annotator.settings import Settings, read_settings

SIMULATED_FRAMES = 24
SERVE_LIMIT_S = 180.0


@dataclass(frozen=True)
class Running:
    """What the demo started: where Label Studio's project is, and the ML backend."""

    labelstudio_url: str
    project_url: str
    backend_url: str


def run_demo(
    workspace: Path, paths: Sequence[Path], no_browser: bool, check: bool, choice: Mapping[str, Any]
) -> Result:
    """Set everything up; then wait for a person to finish, or check the loop and stop all."""
    settings = read_settings()
    signal.signal(signal.SIGTERM, _interrupt)
    if not check:
        with running_loop(workspace, paths, settings, choice) as running:
            _welcome(workspace, running)
            if not no_browser:
                webbrowser.open(running.project_url)
            _wait_for_interrupt()
        return Result({"stopped": True}, "Label Studio and the ML backend are stopped; the workspace is kept")
    from annotator.commands.check import check_loop

    with ExitStack() as stack:
        if not (workspace / "annotator.db").exists() and workspace == Path("workspace"):
            workspace = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="annotator-check-")))
        settings = settings.model_copy(update={"labelstudio_port": free_port(), "backend_port": free_port()})
        running = stack.enter_context(running_loop(workspace, paths, settings, choice))
        return check_loop(workspace, running.labelstudio_url)


@contextmanager
def running_loop(
    workspace: Path, paths: Sequence[Path], settings: Settings, choice: Mapping[str, Any] | None = None
) -> Iterator[Running]:
    """Frames, predictions, a filled Label Studio and the ML backend connected to it; all stopped at the end."""
    _step(1, "frames")
    _fill(workspace, paths, settings)
    backend = chosen(choice or {})
    _step(2, f"pre-annotation by the {backend.backend} model")
    with opened(workspace, settings) as store:
        run_preannotation(store, open_backend(serving_choice(store, backend), settings), settings)
    _step(3, "Label Studio")
    environment.install(settings.labelstudio_env, say)
    was_running = process.status(workspace).running
    server = process.start(workspace, settings.labelstudio_env, settings.labelstudio_port, say)
    try:
        _step(4, "the ML backend")
        with _served(workspace, settings, choice or {}) as backend_url, opened(workspace, settings) as store:
            _step(5, "project, tasks and predictions")
            project_url = labelstudio_commands.connect_workspace(store, backend_url).project_url
            say(labelstudio_commands.push(workspace, None, None).text)
            yield Running(server.url, project_url, backend_url)
    finally:
        if not was_running:
            process.stop(workspace)


def _step(number: int, what: str) -> None:
    say(f"[{number}/5] {what}")


def _fill(workspace: Path, paths: Sequence[Path], settings: Settings) -> None:
    """Import the user's own frames, or make simulated ones where there are none yet."""
    if paths:
        imported = import_images(
            workspace,
            paths,
            source="own frames",
            site=None,
            subject_from=None,
            pixel_size_mm=None,
            coco_file=None,
            as_truth=False,
        )
        say(imported.text)
        if imported.exit_code:
            raise InputError(f"no frame of {', '.join(map(str, paths))} could be imported")
        return
    with opened(workspace, settings) as store:
        if not store.counts()["frames"]:
            count = add_simulated_frames(store, SIMULATED_FRAMES, seed=0)
            say(f"{count} simulated frames made; they are marked as simulated everywhere")


@contextmanager
def _served(workspace: Path, settings: Settings, choice: Mapping[str, Any]) -> Iterator[str]:
    """Run `annotator serve` beside this process; AnnotatorError with its last line where it does not come up."""
    log = workspace / "logs" / "backend.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    url = f"http://127.0.0.1:{settings.backend_port}"
    command = [sys.executable, "-m", "annotator.cli", "--workspace", str(workspace), "serve"]
    with log.open("ab") as stream:
        server = subprocess.Popen(
            [*command, "--port", str(settings.backend_port), *as_arguments(choice)],
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
        )
    try:
        wait_until_up(server, url, log)
        yield url
    finally:
        server.terminate()
        try:
            server.wait(10)
        except subprocess.TimeoutExpired:
            server.kill()


def wait_until_up(server: "subprocess.Popen[bytes]", url: str, log: Path) -> None:
    """Wait for a server's /health; AnnotatorError with its last line where it ends or does not answer in time."""
    deadline = time.monotonic() + SERVE_LIMIT_S
    while time.monotonic() < deadline:
        if server.poll() is not None:
            lines = log.read_text(errors="replace").strip().splitlines() or ["it said nothing"]
            raise AnnotatorError(f"the ML backend did not start: {lines[-1]} (its log is {log})")
        try:
            if httpx.get(f"{url}/health", timeout=2.0, trust_env=False).is_success:
                return
        except httpx.HTTPError:
            time.sleep(0.3)
    raise AnnotatorError(f"the ML backend did not answer in {SERVE_LIMIT_S:.0f} s; its log is {log}")


def free_port() -> int:
    """Return a port of loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def _welcome(workspace: Path, running: Running) -> None:
    login, backend = credentials.load(workspace), backend_login.backend_login(workspace)
    typed = _program() + ("" if workspace == Path("workspace") else f" --workspace {workspace}")
    say(
        f"""
    Everything is running.   {DISCLAIMER}

    Label Studio   {running.project_url}
                   login {login.username}   password {login.password}
    Review panel   {running.backend_url}/review/
                   make a login: {typed} study account NAME; then a study: {typed} study create --help
    Status         {running.backend_url}/status
                   login {backend.username}   password {backend.password}

    Correct        open a task: drag, relabel or delete an outline, choose the plane, press Submit.
                   A click or a box with a smart tool on a head outlines that head.
    Come back      corrections arrive by themselves; to fetch them by hand:
                   {typed} labelstudio pull
    Export         {typed} export coco corrected/
    Stop           Ctrl+C; the workspace is kept, and the same command goes on with it
"""
    )


def _program() -> str:
    """What to type to run this program from here."""
    return "annotator" if shutil.which("annotator") else os.path.relpath(sys.argv[0])


def _wait_for_interrupt() -> None:
    """Wait for Ctrl+C, or for the system to end this process: either way everything is stopped in order."""
    with suppress(KeyboardInterrupt):
        while True:
            time.sleep(3600)
    say("stopping")


def _interrupt(_signal: int, _frame: object) -> None:
    raise KeyboardInterrupt
