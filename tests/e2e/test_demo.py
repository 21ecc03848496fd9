"""`annotator demo --check` as a user types it: the whole loop by itself, with the model of the user's choice."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from annotator.labelstudio.environment import is_installed
from annotator.settings import read_settings
from tests.builders import require

pytestmark = pytest.mark.labelstudio


def test_the_demo_checks_itself(tmp_path: Path) -> None:
    require(is_installed(read_settings().labelstudio_env), "Label Studio: run `annotator labelstudio install`")
    command = [sys.executable, "-m", "annotator.cli", "demo", "--check", "--json"]
    path = os.pathsep.join([str(Path(__file__).resolve().parents[2]), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert json.loads(done.stdout)
    assert not (tmp_path / "workspace").exists()
