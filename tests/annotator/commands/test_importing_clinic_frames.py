"""`annotator import` of frames as clinics have them: what comes in, what is left outside, what is said of it."""

import logging
import re
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import RLELossless

from annotator.commands.importing import import_images
from annotator.commands.intake import Deidentify, Rules
from annotator.frames import frame_id_of
from annotator.frames.choosing import Choice, Keep
from annotator.phantom import simulate_frame
from annotator.schema import Frame
from annotator.store import Store
from tests.annotator.deidentify.written import font_writer
from tests.annotator.frames.dicom_files import a_dicom, a_region, saved, some_frames
from tests.annotator.frames.test_cine import a_video, numbered

Document = dict[str, Any]


def imported(workspace: Path, *paths: Path, **more: Any) -> Document:
    options: dict[str, Any] = {
        "source": "", "site": "Leuven", "subject_from": None, "pixel_size_mm": None, "coco_file": None,
        "as_truth": False,
    }  # fmt: skip
    return import_images(workspace, paths, **{**options, **more}).document


def frames_of(workspace: Path) -> list[Frame]:
    store = Store(workspace)
    try:
        return list(store.frames())
    finally:
        store.close()


def pixels_of(workspace: Path, frame: Frame) -> np.ndarray[Any, Any]:
    path = workspace / "frames" / "images" / frame.frame_id[:2] / f"{frame.frame_id}.png"
    with Image.open(path) as image:
        return np.asarray(image)


def with_name(pixels: np.ndarray[Any, Any], words: str = "MUSTERFRAU, Erika") -> np.ndarray[Any, Any]:
    written, ink = pixels.copy(), font_writer(None)(words, 16)
    written[4 : 24 + ink.shape[0], : ink.shape[1] + 20] = 0
    written[8 : 8 + ink.shape[0], 10 : 10 + ink.shape[1]] = 255 * ink
    return written


def a_head(seed: int = 0) -> np.ndarray[Any, Any]:
    pixels = simulate_frame("Trans-thalamic", seed=seed, size_wh=(400, 276)).pixels.copy()
    pixels[:20, -110:] = 0
    return pixels


# Nothing of a header

SECRETS = [f"QX{number:02}SECRET{number * 7919 % 1000:03}" for number in range(30)]


def full_of_secrets(folder: Path) -> tuple[Path, list[bytes]]:
    """A sound file with a secret in every corner where DICOM has room for one."""
    s = iter(SECRETS)
    dataset = a_dicom(
        PatientName=f"{next(s)}^Erika", PatientID=next(s), InstitutionName=next(s), InstitutionAddress=next(s),
        ReferringPhysicianName=next(s), OperatorsName=next(s), AccessionNumber=next(s), StudyID=next(s),
        StudyDescription=next(s), SeriesDescription=next(s), StationName=next(s), DeviceSerialNumber=next(s),
        ImageComments=next(s), PatientComments=next(s), ProtocolName=next(s), PatientBirthDate="19800229",
        StudyDate="20240229", StudyTime="101112.131415",
    )  # fmt: skip
    other, deeper = Dataset(), Dataset()
    other.PatientID, deeper.CodeMeaning = next(s), next(s)
    other.IssuerOfPatientIDQualifiersSequence = Sequence([deeper])
    dataset.OtherPatientIDsSequence = Sequence([other])
    dataset.private_block(0x0011, next(s), create=True).add_new(0x01, "LO", next(s))
    icon = Dataset()
    icon.Rows = icon.Columns = icon.BitsAllocated = 8
    icon.PixelData = next(s).encode().ljust(64)
    dataset.IconImageSequence = Sequence([icon])
    dataset.add_new(0x60000010, "US", 8)
    dataset.add_new(0x60000022, "LO", next(s))
    dataset.add_new(0x60003000, "OW", next(s).encode().ljust(20))
    dataset.add_new(0x00291010, "UN", next(s).encode().ljust(20))
    dataset.add_new(0xFFFCFFFC, "OB", next(s).encode().ljust(20))
    region = a_region(box=(0, 0, 64, 48))
    region.add_new(0x00111001, "LO", next(s))
    dataset.SequenceOfUltrasoundRegions = Sequence([region])
    dataset.file_meta.SourceApplicationEntityTitle = next(s)[:16]
    dataset.file_meta.PrivateInformationCreatorUID = "1.2.3.4"
    dataset.file_meta.PrivateInformation = next(s).encode().ljust(20)
    dataset.preamble = next(s).encode().ljust(128, b"\0")
    uids = [str(dataset[name].value) for name in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")]
    path = saved(dataset, folder / next(s), f"{next(s)}.dcm")
    planted = [*SECRETS[: len(SECRETS) - len(list(s))], *uids, "19800229", "20240229", "101112.131415"]
    return path, [word.encode() for word in planted]


def everything_in(folder: Path) -> dict[str, bytes]:
    """Names and contents of all files, and what PNG files hold within."""
    found = {}
    for path in sorted(folder.rglob("*")):
        found[str(path.relative_to(folder))] = content = path.read_bytes() if path.is_file() else b""
        start = 0
        while (start := content.find(b"IDAT", start)) >= 0:
            found[f"{path.name}@{start}"] = zlib.decompressobj().decompress(content[start + 4 :])
            start += 4
    return found


def damage(what: str) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        content = path.read_bytes()
        if what == "cut off":
            path.write_bytes(content[:-900])
        elif what == "a secret for a number":
            place = content.index(b"\x28\x00\x08\x00IS")
            path.write_bytes(content[: place + 6] + b"\x0c\x00" + b"QX00SECRET00" + content[place + 10 :])

    return change


@pytest.mark.parametrize("how", ["sound", "cut off", "a secret for a number"])
def test_no_value_of_a_header_reaches_disk_or_log(
    how: str, tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    path, planted = full_of_secrets(tmp_path / "in")
    assert len(planted) > 25
    damage(how)(path)
    with caplog.at_level(logging.DEBUG):
        document = imported(tmp_path / "workspace", tmp_path / "in")
    assert (document["imported"], document["failed"]) == ((3, 0) if how == "sound" else (0, 1))
    said = (caplog.text + "".join(capfd.readouterr()) + repr(document)).encode()
    for name, content in {**everything_in(tmp_path / "workspace"), "said": said}.items():
        for secret in planted:
            assert secret not in content, f"{secret!r} in {name}"
            assert secret not in name.encode()
            assert secret.decode().encode("utf-16-le") not in content


def test_the_values_that_are_planted_would_be_found(tmp_path: Path) -> None:
    path, planted = full_of_secrets(tmp_path / "in")
    everything = {**everything_in(tmp_path), "path": str(path).encode()}
    assert not [secret for secret in planted if not any(secret in content for content in everything.values())]


# What comes in


def test_a_multi_frame_file_becomes_frames_of_one_subject_and_group(tmp_path: Path) -> None:
    pictures = some_frames(4)
    dataset = a_dicom(pictures)
    dataset.compress(RLELossless)
    saved(dataset, tmp_path / "in", "Musterfrau Erika.dcm")
    assert imported(tmp_path / "workspace", tmp_path / "in")["imported"] == 4
    frames = frames_of(tmp_path / "workspace")
    assert [frame.frame_id for frame in frames] == [frame_id_of(picture) for picture in pictures]
    assert len({(frame.subject, frame.group, frame.site) for frame in frames}) == 1
    assert [frame.source_file[-6:] for frame in frames] == ["#00000", "#00001", "#00002", "#00003"]
    assert frames[0].source_file.startswith("dicom-")
    assert frames[0].pixel_spacing_mm == pytest.approx((0.2, 0.2))
    assert frames[0].scanner == "Makers Sono 1"


def test_what_the_importing_person_says_counts_more_than_the_file(tmp_path: Path) -> None:
    saved(a_dicom(), tmp_path / "in")
    imported(tmp_path / "workspace", tmp_path / "in", pixel_size_mm=0.5)
    assert frames_of(tmp_path / "workspace")[0].pixel_spacing_mm == (0.5, 0.5)


def test_a_video_keeps_its_name_and_gives_the_pictures_that_are_asked_for(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    a_video(tmp_path / "in" / "mjpeg.avi", numbered())
    rules = Rules(choice=Choice(Keep.ALL, per_second=5))
    assert imported(tmp_path / "workspace", tmp_path / "in", rules=rules)["imported"] == 6
    names = [frame.source_file for frame in frames_of(tmp_path / "workspace")]
    assert names == [f"mjpeg.avi#{number:05}" for number in range(0, 30, 5)]


def test_one_bad_file_stops_no_other_and_is_told_by_its_place(tmp_path: Path) -> None:
    saved(a_dicom(some_frames(1), NumberOfFrames=1), tmp_path / "in", "a")
    saved(a_dicom(Rows=20), tmp_path / "in", "b")
    saved(a_dicom(some_frames(1, seed=5), NumberOfFrames=1), tmp_path / "in", "c")
    document = imported(tmp_path / "workspace", tmp_path / "in")
    assert (document["imported"], document["failed"]) == (2, 1)
    assert document["failures"][0]["file"].endswith("(file 2)")


def test_importing_again_adds_nothing(tmp_path: Path) -> None:
    saved(a_dicom(), tmp_path / "in")
    first = imported(tmp_path / "workspace", tmp_path / "in")
    again = imported(tmp_path / "workspace", tmp_path / "in")
    assert (first["imported"], again["imported"], again["already_known"]) == (3, 0, 3)
    assert len(frames_of(tmp_path / "workspace")) == 3


def test_one_id_with_two_names_is_told(tmp_path: Path) -> None:
    for name, person in (("a", "ONE^A"), ("b", "TWO^B")):
        saved(a_dicom(some_frames(1, seed=ord(name)), PatientName=person), tmp_path / "in", name)
    document = imported(tmp_path / "workspace", tmp_path / "in")
    assert document["oddities"] == {"patient id that comes with more than one name or birth date": 1}


def test_subjects_from_file_names_are_keyed_hashes_unless_a_data_set_says_them(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for seed, name in enumerate(("4711_a.png", "4711_b.png", "4712_a.png")):
        Image.fromarray(some_frames(1, seed=seed)[0]).save(tmp_path / "in" / name)
    imported(tmp_path / "workspace", tmp_path / "in", subject_from="^([0-9]+)")
    one, same, other = (frame.subject for frame in frames_of(tmp_path / "workspace"))
    assert one is not None
    assert one == same != other
    assert "4711" not in one


# Burned-in text


def a_still(folder: Path, pixels: np.ndarray[Any, Any], name: str = "still.png") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(folder / name)
    return folder / name


def test_a_burned_in_name_is_masked_and_the_sheet_says_so(tmp_path: Path) -> None:
    a_still(tmp_path / "in", with_name(a_head()))
    document = imported(tmp_path / "workspace", tmp_path / "in")
    assert (document["imported"], document["masked"]) == (1, 1)
    (frame,) = frames_of(tmp_path / "workspace")
    assert not pixels_of(tmp_path / "workspace", frame)[8:22, 10:120].any()
    (page,) = document["second_look"]
    assert Path(page).parent == tmp_path / "workspace" / "frames" / "second_look"
    assert re.search(r"still.png: [1-9] masked", Path(page).read_text())


def test_a_frame_without_text_keeps_its_content_and_id(tmp_path: Path) -> None:
    a_still(tmp_path / "in", a_head())
    document = imported(tmp_path / "workspace", tmp_path / "in")
    assert document["masked"] == 0
    assert [frame.frame_id for frame in frames_of(tmp_path / "workspace")] == [frame_id_of(a_head())]


def test_text_is_left_only_where_that_was_asked_for(tmp_path: Path) -> None:
    a_still(tmp_path / "in", with_name(a_head()))
    as_it_was = frame_id_of(with_name(a_head()))
    for number, rules in enumerate((Rules(keep_text=True), Rules(Deidentify.OFF))):
        document = imported(tmp_path / str(number), tmp_path / "in", rules=rules)
        assert [frame.frame_id for frame in frames_of(tmp_path / str(number))] == [as_it_was]
        assert bool(document["second_look"]) == rules.keep_text


def test_stills_of_a_data_set_are_not_altered_unless_asked(tmp_path: Path) -> None:
    a_still(tmp_path / "in", with_name(a_head()))
    (tmp_path / "coco.json").write_text(
        '{"images": [{"id": 1, "file_name": "still.png", "width": 400, "height": 276, "subject_id": "S1"}],'
        ' "annotations": [], "categories": []}'
    )
    imported(tmp_path / "auto", tmp_path / "in", coco_file=tmp_path / "coco.json")
    imported(tmp_path / "on", tmp_path / "in", coco_file=tmp_path / "coco.json", rules=Rules(Deidentify.ON))
    (auto,), (masked,) = frames_of(tmp_path / "auto"), frames_of(tmp_path / "on")
    assert auto.frame_id == frame_id_of(with_name(a_head())) != masked.frame_id
    assert auto.subject == masked.subject == "S1"


def test_a_cine_is_masked_in_all_its_frames(tmp_path: Path) -> None:
    pictures = np.stack([with_name(a_head(0)), a_head(1), with_name(a_head(2))])
    saved(a_dicom(pictures), tmp_path / "in")
    document = imported(tmp_path / "workspace", tmp_path / "in")
    assert (document["imported"], document["masked"]) == (3, 3)
    for frame in frames_of(tmp_path / "workspace"):
        assert not pixels_of(tmp_path / "workspace", frame)[9:20, 12:110].any()


def full_of_writing() -> np.ndarray[Any, Any]:
    pixels, write = a_head(), font_writer(None)
    for row in range(20, 250, 17):
        ink = write("Lorem ipsum dolor sit amet consetetur sadip", 15)[:, :380]
        pixels[row : row + ink.shape[0], 10 : 10 + ink.shape[1]] |= (255 * ink).astype(np.uint8)
    return pixels


def test_where_it_is_unsure_a_frame_is_refused_until_a_person_accepts_it(tmp_path: Path) -> None:
    a_still(tmp_path / "in", full_of_writing())
    document = imported(tmp_path / "workspace", tmp_path / "in")
    assert (document["imported"], document["failed"]) == (0, 1)
    assert "--accept-unsure" in document["failures"][0]["reason"]
    assert "refused" in Path(document["second_look"][0]).read_text()
    accepted = imported(tmp_path / "workspace", tmp_path / "in", rules=Rules(accept_unsure=True))
    assert (accepted["imported"], accepted["masked"]) == (1, 1)


# Near duplicates


def test_stills_that_show_the_same_are_grouped(tmp_path: Path) -> None:
    a_still(tmp_path / "in", a_head(), "a.png")
    a_still(tmp_path / "in", a_head(3), "b.png")
    Image.fromarray(a_head()).save(tmp_path / "in" / "c.jpg", quality=40)
    document = imported(tmp_path / "workspace", tmp_path / "in")
    assert document["grouped"] == 2
    first, other, again = frames_of(tmp_path / "workspace")
    assert first.group == again.group != other.group is None
