"""The Label Studio server of a workspace: one detached process on this machine's loopback."""

import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import httpx

from annotator.errors import LabelStudioError
from annotator.labelstudio import credentials as keys
from annotator.labelstudio.environment import (
    DATABASE,
    Report,
    base_variables,
    is_installed,
    program,
    template_database,
    to_stderr,
)

HOST = "127.0.0.1"
DEFAULT_PORT = 8080
START_LIMIT_S = 240.0
STOP_LIMIT_S = 15.0


@dataclass(frozen=True)
class Server:
    """A server of a workspace: running or not, and healthy (it answers) or not."""

    url: str
    port: int
    pid: int | None
    running: bool
    healthy: bool
    log: Path
    already_running: bool = False


def start(workspace: Path, env_dir: Path, port: int = DEFAULT_PORT, report: Report = to_stderr) -> Server:
    """Start the server and wait until it answers; return the running one where there is one already.

    Raises LabelStudioError where it is not installed, the port is taken, or it dies, with its last log line.
    """
    workspace = workspace.absolute()
    if not is_installed(env_dir):
        raise LabelStudioError(f"Label Studio is not installed in {env_dir}; run `annotator labelstudio install`")
    keys.home(workspace).mkdir(parents=True, exist_ok=True, mode=0o700)
    with _lock_path(workspace).open("a+") as lock:
        if not _try_lock(lock, patience_s=0.5):
            return _already(workspace, report)
        _check_port_is_free(port)
        _check_credentials(workspace)
        process = _launch(workspace, port, env_dir, lock)
    report(f"starting Label Studio on {_url(port)}; its log is {_log_path(workspace)}")
    _wait_until_healthy(process, workspace, port, report)
    return status(workspace)


def stop(workspace: Path) -> bool:
    """Stop the server; return False where none was running."""
    now = status(workspace, ask=False)
    if not now.running or now.pid is None:
        return False
    for signal_number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(now.pid, signal_number)
        limit = time.monotonic() + STOP_LIMIT_S
        while time.monotonic() < limit:
            if not _is_locked(workspace):
                with suppress(ChildProcessError):
                    os.waitpid(now.pid, 0)  # where it is our own child, leave no zombie
                return True
            time.sleep(0.1)
    raise LabelStudioError(f"Label Studio (process {now.pid}) does not stop; end it by hand")


def status(workspace: Path, *, ask: bool = True) -> Server:
    """Tell where the server of a workspace stands; `ask` also asks it over HTTP whether it is healthy."""
    workspace = workspace.absolute()
    running = _is_locked(workspace)
    noted = _read_note(workspace)
    port, pid = int(noted.get("port", DEFAULT_PORT)), noted.get("pid")
    return Server(
        url=_url(port),
        port=port,
        pid=int(pid) if running and pid is not None else None,
        running=running,
        healthy=running and ask and _answers(port),
        log=_log_path(workspace),
    )


def _url(port: int) -> str:
    return f"http://{HOST}:{port}"


def _log_path(workspace: Path) -> Path:
    return workspace / "logs" / "labelstudio.log"


def _lock_path(workspace: Path) -> Path:
    return keys.home(workspace) / "server.pid"


def _try_lock(lock: IO[str], patience_s: float = 0.0) -> bool:
    """Take the lock that a server holds for as long as it lives: no stale or reused process id can fool us.

    Somebody else's look at the lock lasts a moment; `patience_s` outlasts it.
    """
    limit = time.monotonic() + patience_s
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() >= limit:
                return False
        time.sleep(0.05)


def _is_locked(workspace: Path) -> bool:
    try:
        with _lock_path(workspace).open("r") as lock:
            return not _try_lock(lock)
    except FileNotFoundError:
        return False


def _read_note(workspace: Path) -> dict[str, int]:
    try:
        noted = json.loads(_lock_path(workspace).read_text())
    except (OSError, ValueError):
        return {}
    return noted if isinstance(noted, dict) else {}


def _already(workspace: Path, report: Report) -> Server:
    now = status(workspace)
    report(f"Label Studio is already running on {now.url}" + ("" if now.healthy else ", but does not answer yet"))
    return Server(**{**vars(now), "already_running": True})


def _check_port_is_free(port: int) -> None:
    """Label Studio itself would silently take the next port."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except (OSError, OverflowError) as error:
            if isinstance(error, PermissionError):
                reason = "needs administrator rights"
            else:
                reason = "is in use by another program" if isinstance(error, OSError) else "is not a port number"
            raise LabelStudioError(f"port {port} {reason}; choose another with --port") from None


def _check_credentials(workspace: Path) -> None:
    """Passwords and tokens are set when a database is new; made anew beside an old one they would open nothing."""
    data = keys.home(workspace) / "data"
    if (data / DATABASE).exists() and not keys.path_of(workspace).exists():
        mend = f"bring it back, or move {data} away to begin with an empty Label Studio"
        raise LabelStudioError(f"{keys.path_of(workspace)} is missing but its database is there: {mend}")


def _launch(workspace: Path, port: int, env_dir: Path, lock: IO[str]) -> subprocess.Popen[bytes]:
    """Start the detached process. It inherits the lock, and with it the proof that it lives."""
    data = keys.home(workspace) / "data"
    data.mkdir(parents=True, exist_ok=True)
    (workspace / "frames" / "images").mkdir(parents=True, exist_ok=True)
    _copy_template(env_dir, data)
    log_path = _log_path(workspace)
    log_path.parent.mkdir(parents=True, exist_ok=True)
    command = [str(program(env_dir)), "start", "--no-browser", "--internal-host", HOST, "--port", str(port)]
    with log_path.open("ab") as log:
        process = subprocess.Popen(
            command,
            env=server_variables(workspace, keys.load_or_make(workspace)),
            cwd=data,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=(lock.fileno(),),
        )
    lock.truncate(0)
    lock.write(json.dumps({"pid": process.pid, "port": port}))
    lock.flush()
    return process


def server_variables(workspace: Path, login: keys.Credentials) -> dict[str, str]:
    """Return the environment of the server: loopback, offline, local files, no sign-up of strangers."""
    settings = {
        "USERNAME": login.username,
        "PASSWORD": login.password,
        "USER_TOKEN": login.token,
        "ENABLE_LEGACY_API_TOKEN": "true",
        "LOCAL_FILES_SERVING_ENABLED": "true",
        "LOCAL_FILES_DOCUMENT_ROOT": str(workspace / "frames"),
        "ML_BLOCK_LOCAL_IP": "false",  # both switches, or our own backend on loopback is refused
        "SSRF_PROTECTION_ENABLED": "false",
        "DISABLE_SIGNUP_WITHOUT_LINK": "true",
        "ALLOWED_HOSTS": "127.0.0.1,localhost",
    }
    named = {f"LABEL_STUDIO_{name}": value for name, value in settings.items()}
    return base_variables(keys.home(workspace) / "data") | named | {"SECRET_KEY": login.secret_key}


def _copy_template(env_dir: Path, data: Path) -> None:
    if not (data / DATABASE).exists():
        part = data / f"{DATABASE}.part"
        shutil.copyfile(template_database(env_dir), part)
        part.chmod(0o600)
        part.replace(data / DATABASE)


def _wait_until_healthy(process: subprocess.Popen[bytes], workspace: Path, port: int, report: Report) -> None:
    begun = told = time.monotonic()
    while time.monotonic() - begun < START_LIMIT_S:
        if process.poll() is not None:
            raise LabelStudioError(f"Label Studio stopped while starting: {last_log_line(workspace)}")
        if _answers(port):
            report(f"Label Studio answers after {time.monotonic() - begun:.0f} s")
            return
        if time.monotonic() - told >= 5:
            told = time.monotonic()
            report(f"  still starting, {told - begun:.0f} s")
        time.sleep(0.25)
    raise LabelStudioError(
        f"Label Studio does not answer on {_url(port)} after {START_LIMIT_S:.0f} s; see {_log_path(workspace)}"
    )


def _answers(port: int) -> bool:
    try:
        with httpx.Client(trust_env=False, timeout=2.0) as client:
            return client.get(f"{_url(port)}/health").status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False


def last_log_line(workspace: Path) -> str:
    """Return the last line of the server's log that says something, for a message."""
    try:
        with _log_path(workspace).open("rb") as log:
            log.seek(max(0, log.seek(0, os.SEEK_END) - 4096))
            lines = log.read().decode(errors="replace").split("\n")
    except OSError:
        return "it left no log"
    return next((line.strip() for line in reversed(lines) if line.strip()), "it left no log")
