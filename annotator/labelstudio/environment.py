"""The server's own Python environment, since Label Studio pins a world that is not ours."""

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from importlib import resources
from pathlib import Path

from annotator.errors import LabelStudioError

VERSION = "1.23.2"
DATABASE = "label_studio.sqlite3"
_KEPT = ("PATH", "HOME", "LANG", "TMPDIR", "TZ", "SYSTEMROOT", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")

Report = Callable[[str], None]


def to_stderr(line: str) -> None:
    """Write one progress line where it does not mix with results."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def program(env_dir: Path) -> Path:
    """Return the path of the `label-studio` command in an environment."""
    return env_dir / "bin" / "label-studio"


def template_database(env_dir: Path) -> Path:
    """Return the path of the migrated, empty database that new workspaces start from."""
    return env_dir / "template" / DATABASE


def installed_version(env_dir: Path) -> str | None:
    """Return the version of Label Studio in an environment, or None where there is none."""
    found = sorted((env_dir / "lib").glob("python*/site-packages/label_studio-*.dist-info"))
    return found[0].name.removeprefix("label_studio-").removesuffix(".dist-info") if found else None


def is_installed(env_dir: Path) -> bool:
    """Tell whether the pinned Label Studio and its template database are there."""
    whole = program(env_dir).exists() and template_database(env_dir).exists()
    return whole and installed_version(env_dir) == VERSION


def base_variables(home: Path) -> dict[str, str]:
    """Return the environment of every Label Studio process: a short list, so that no stray HOST or DEBUG counts.

    Label Studio reads each setting under three names (LABEL_STUDIO_X, HEARTEX_X, X); nothing of the caller's
    environment is passed on but what a program needs to run. It reaches no other machine. `home` keeps its files.
    """
    kept = {name: value for name, value in os.environ.items() if name in _KEPT or name.startswith("LC_")}
    return kept | {
        "PYTHONUNBUFFERED": "1",
        "XDG_CONFIG_HOME": str(home),  # its user id for telemetry lands here and not in the user's folder
        "LABEL_STUDIO_BASE_DATA_DIR": str(home),
        "LABEL_STUDIO_LATEST_VERSION_CHECK": "false",
        "LABEL_STUDIO_COLLECT_ANALYTICS": "false",
        "SENTRY_DSN": "",
        "FRONTEND_SENTRY_DSN": "",
    }


def install(env_dir: Path, report: Report = to_stderr) -> bool:
    """Build the environment and the template database; return False where all was there already.

    A build that was cut off is mended by the next call. Raises LabelStudioError with the last line of what failed.
    """
    if is_installed(env_dir):
        report(f"Label Studio {VERSION} is installed in {env_dir}")
        return False
    if installed_version(env_dir) != VERSION or not program(env_dir).exists():
        _install_packages(env_dir, report)
    _make_template(env_dir, report)
    report(f"Label Studio {VERSION} is ready in {env_dir}")
    return True


def _install_packages(env_dir: Path, report: Report) -> None:
    python = env_dir / "bin" / "python"
    if not python.exists():
        report(f"making an environment for Label Studio in {env_dir}")
        _run([sys.executable, "-m", "venv", str(env_dir)], "cannot make an environment for Label Studio")
    report(f"installing label-studio=={VERSION} (about 1 GB; a minute or several)")
    with resources.as_file(resources.files(__package__) / "requirements.lock") as lock:
        command = [str(python), "-m", "pip", "install", "--disable-pip-version-check", "--progress-bar", "off"]
        _run_with_progress([*command, "--constraint", str(lock), f"label-studio=={VERSION}"], report)


def _run(command: list[str], failure: str, variables: dict[str, str] | None = None) -> None:
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        lines = (done.stderr + done.stdout).strip().splitlines() or ["no message"]
        raise LabelStudioError(f"{failure}: {lines[-1]}")


def _run_with_progress(command: list[str], report: Report) -> None:
    """Run pip; tell each tenth package that it collects, keep its last lines for the error."""
    collected, last = 0, ""
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        for line in process.stdout or ():
            last = line.strip() or last
            if line.startswith("Collecting "):
                collected += 1
                if collected % 20 == 0:
                    report(f"  {collected} packages found")
            elif line.startswith("Installing collected"):
                report(f"  unpacking {line.count(',') + 1} packages")
    if process.returncode != 0:
        raise LabelStudioError(f"pip could not install label-studio=={VERSION}: {last}")


def _make_template(env_dir: Path, report: Report) -> None:
    """Migrate an empty database once, so that the first start of a workspace takes seconds and not a minute."""
    report("preparing an empty database (about a minute, once)")
    building = env_dir / "template.part"
    shutil.rmtree(building, ignore_errors=True)
    building.mkdir(parents=True)
    failure = "Label Studio cannot prepare its database"
    _run([str(program(env_dir)), "version"], failure, base_variables(building))
    database = building / DATABASE
    if not database.exists():
        raise LabelStudioError(f"{failure}: no {DATABASE} in {building}")
    _use_write_ahead_log(database)
    target = template_database(env_dir)
    target.parent.mkdir(exist_ok=True)
    database.replace(target)  # the secret key made on the way stays behind: every workspace has its own
    shutil.rmtree(building, ignore_errors=True)


def _use_write_ahead_log(database: Path) -> None:
    """Let pages be read while annotations are written; the setting stays with the file."""
    with sqlite3.connect(database) as connection:
        connection.execute("PRAGMA journal_mode=wal")
    connection.close()
