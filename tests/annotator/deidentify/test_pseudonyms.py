"""Pseudonyms: the same subject has one, nobody without the key can make it, and the key stays at home."""

import os
import stat
import threading
from pathlib import Path

import pytest

from annotator.deidentify.pseudonyms import KEY_FILE, Pseudonyms, a_random_subject, open_pseudonyms
from annotator.errors import InputError


def test_the_same_key_gives_the_same_pseudonym_and_another_key_another(tmp_path: Path) -> None:
    first, again = open_pseudonyms(tmp_path / "one"), open_pseudonyms(tmp_path / "one")
    other = open_pseudonyms(tmp_path / "other")
    assert first.subject("4711") == again.subject("4711")
    assert first.subject("4711") not in (first.subject("4712"), other.subject("4711"), None)


def test_two_hospitals_that_count_alike_are_kept_apart(tmp_path: Path) -> None:
    assert open_pseudonyms(tmp_path, "Leuven").subject("1") != open_pseudonyms(tmp_path, "Gent").subject("1")
    assert Pseudonyms(bytes(32), "ab").subject("c") != Pseudonyms(bytes(32), "a").subject("bc")


def test_a_pseudonym_is_long_enough_and_holds_nothing_of_the_id() -> None:
    pseudonym = Pseudonyms(bytes(32)).subject("MUSTERFRAU 1980-01-01")
    assert pseudonym is not None
    assert pseudonym.startswith("sub-")
    assert len(pseudonym) == 4 + 20
    assert "MUSTER" not in pseudonym.upper()


@pytest.mark.parametrize("nobody", ["", "  ", "0", "Anonymous", "UNKNOWN", "n/a"])
def test_an_id_that_names_nobody_has_no_pseudonym(nobody: str) -> None:
    assert Pseudonyms(bytes(32)).subject(nobody) is None
    assert a_random_subject() != a_random_subject()


def test_the_key_is_its_owners_alone_and_is_shown_nowhere(tmp_path: Path) -> None:
    pseudonyms = open_pseudonyms(tmp_path)
    path = tmp_path / KEY_FILE
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert pseudonyms.key.hex() == path.read_text().strip()
    assert pseudonyms.key.hex() not in repr(pseudonyms)
    assert [one.name for one in tmp_path.iterdir()] == [KEY_FILE]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda path: path.chmod(0o644), "chmod 600"),
        (lambda path: path.write_text("abc"), "damaged"),
        (lambda path: path.write_text("not hexadecimal " * 4), "damaged"),
        (lambda path: path.write_bytes(os.urandom(64)), "damaged"),
        (lambda path: path.write_text(""), "damaged"),
    ],
)
def test_a_key_that_cannot_be_trusted_is_refused_in_one_line(change: object, says: str, tmp_path: Path) -> None:
    open_pseudonyms(tmp_path)
    change(tmp_path / KEY_FILE)  # type: ignore[operator]
    with pytest.raises(InputError, match=says) as error:
        open_pseudonyms(tmp_path)
    assert "\n" not in str(error.value)


def test_many_who_come_first_at_once_get_one_key(tmp_path: Path) -> None:
    keys: list[bytes] = []
    threads = [threading.Thread(target=lambda: keys.append(open_pseudonyms(tmp_path).key)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(keys) == 8
    assert len(set(keys)) == 1
