"""The second-look sheet shows every frame after masking, so that a person sees what the machine missed."""

import base64
import re
import stat
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from annotator.deidentify import contact_sheet
from annotator.deidentify.burned_in_text import TextFound
from annotator.deidentify.contact_sheet import ContactSheet


def some_text(*reasons: str) -> TextFound:
    mask = np.zeros((100, 200), bool)
    mask[10:30, 20:80] = True
    return TextFound(mask, ((20, 10, 80, 30),), ((100, 60, 150, 80),), 0.01, reasons)


def pictures_of(page: Path) -> list[NDArray[np.uint8]]:
    coded = re.findall(r"base64,([^\"]+)", page.read_text())
    decoded = (cv2.imdecode(np.frombuffer(base64.b64decode(one), np.uint8), cv2.IMREAD_COLOR) for one in coded)
    return [np.asarray(one, np.uint8) for one in decoded]


def test_what_was_masked_is_black_what_was_not_is_to_be_seen(tmp_path: Path) -> None:
    sheet = ContactSheet(tmp_path, "import")
    sheet.add("frame.png", np.full((100, 200), 150, np.uint8), some_text())
    sheet.close()
    (picture,) = pictures_of(sheet.pages[0])
    assert picture[15:25, 30:70].max() < 40
    assert abs(float(picture[65:75, 110:140].mean()) - 150) < 5


def test_a_refused_frame_shows_nothing_that_is_suspected(tmp_path: Path) -> None:
    sheet = ContactSheet(tmp_path, "import")
    sheet.add("frame.png", np.full((100, 200), 150, np.uint8), some_text("unsure"), refused=True)
    sheet.close()
    (picture,) = pictures_of(sheet.pages[0])
    assert picture[65:75, 110:140].max() < 40
    assert "refused, not imported" in sheet.pages[0].read_text()


def test_pages_are_their_owners_alone_and_hold_no_markup_of_a_name(tmp_path: Path) -> None:
    sheet = ContactSheet(tmp_path, "import")
    sheet.add('<script>"x"</script>.png', np.full((100, 200, 3), 150, np.uint8), some_text())
    sheet.close()
    assert stat.S_IMODE(sheet.pages[0].stat().st_mode) == 0o600
    assert "<script>" not in sheet.pages[0].read_text()


def test_the_most_doubtful_comes_first_and_pages_are_filled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contact_sheet, "PER_PAGE", 3)
    sheet = ContactSheet(tmp_path, "import")
    for name, reasons in (("sure", ()), ("doubtful", ("a", "b")), ("so-so", ("a",)), ("last", ())):
        sheet.add(name, np.full((100, 200), 90, np.uint8), some_text(*reasons))
    sheet.close()
    assert [page.name for page in sheet.pages] == ["import-001.html", "import-002.html"]
    assert re.findall(r'alt="([^"]+)"', sheet.pages[0].read_text()) == ["doubtful", "so-so", "sure"]


def test_nothing_to_show_is_no_page(tmp_path: Path) -> None:
    ContactSheet(tmp_path, "import").close()
    assert not list(tmp_path.iterdir())
