"""Files are whole or absent, locks are let go of, and settings that cannot be used are named."""

import os
import stat
from pathlib import Path

import pytest

from annotator import errors
from annotator.errors import AnnotatorError, InputError, JobError
from annotator.files import atomic_writer, exclusive_lock, write_atomically
from annotator.settings import Settings, read_settings


def test_a_file_is_written_with_its_folders_and_its_rights(tmp_path: Path) -> None:
    write_atomically(tmp_path / "a" / "b" / "secret.json", b"{}", mode=0o600)
    assert (tmp_path / "a" / "b" / "secret.json").read_bytes() == b"{}"
    assert stat.S_IMODE((tmp_path / "a" / "b" / "secret.json").stat().st_mode) == 0o600


def test_a_failure_while_writing_leaves_the_old_file_and_no_rest(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_atomically(path, b"old")

    def interrupted() -> None:
        with atomic_writer(path) as stream:
            stream.write(b"half of the ne")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_readers_see_the_old_file_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_atomically(path, b"old")
    with atomic_writer(path) as stream:
        stream.write(b"new")
        stream.flush()
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"


def test_a_lock_is_held_by_one_and_let_go_of_on_any_way_out(tmp_path: Path) -> None:
    lock = tmp_path / "locks" / "push.lock"

    def fails_while_holding() -> None:
        with exclusive_lock(lock, "push"):
            with pytest.raises(JobError, match="push is already running"), exclusive_lock(lock, "push"):
                pass
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fails_while_holding()
    with exclusive_lock(lock, "push"):
        pass


def test_every_error_is_an_annotator_error() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Exception)]
    assert len(kinds) >= 8
    assert all(issubclass(kind, AnnotatorError) for kind in kinds)
    assert errors.__doc__ is not None
    assert all(kind.__name__ in errors.__doc__ for kind in kinds)


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in list(os.environ):
        if name.startswith("ANNOTATOR_"):
            monkeypatch.delenv(name)
    return monkeypatch


def test_settings_come_from_the_environment(environment: pytest.MonkeyPatch) -> None:
    assert read_settings().batch_size == 8
    environment.setenv("ANNOTATOR_BATCH_SIZE", "3")
    environment.setenv("ANNOTATOR_DATABASE_URL", "postgresql+psycopg://h/d")
    assert read_settings().batch_size == 3
    assert read_settings().database_url == "postgresql+psycopg://h/d"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("BATCH_SIZE", "0"),
        ("BATCH_SIZE", "many"),
        ("BACKEND_PORT", "70000"),
        ("LABELSTUDIO_PORT", "-1"),
        ("THREADS", "0"),
        ("MAX_PIXELS", "1.5"),
        ("PREDICT_SECONDS", "100"),
        ("PREDICT_SECONDS", "nan"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named(environment: pytest.MonkeyPatch, name: str, value: str) -> None:
    environment.setenv(f"ANNOTATOR_{name}", value)
    with pytest.raises(InputError, match=f"^ANNOTATOR_{name}='{value}' cannot be used: ") as error:
        read_settings()
    assert "\n" not in str(error.value)


def test_every_setting_has_a_default_that_holds(environment: pytest.MonkeyPatch) -> None:
    assert isinstance(read_settings(), Settings)
