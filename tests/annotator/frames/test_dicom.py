"""DICOM ultrasound: right pixels and spacing from every compression, one line for what cannot be read."""

import warnings
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from pydicom.data import get_testdata_file
from pydicom.dataset import FileDataset
from pydicom.pixels import apply_color_lut
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLossless,
    JPEGLSLossless,
    RLELossless,
)

from annotator.deidentify.pseudonyms import Pseudonyms
from annotator.errors import FrameError
from annotator.frames import Kind, kind_of
from annotator.frames.decoding import Decoder
from annotator.frames.reports import Decoded, Limits, SourceFacts
from tests.annotator.frames.dicom_files import a_dicom, a_region, as_jpeg, saved, some_frames

KEY = bytes(range(32))
Pixels = NDArray[np.uint8]


@pytest.fixture(scope="module")
def decoder() -> Iterator[Decoder]:
    limits = Limits(max_pixels=4_000_000, max_frames=500, max_inflated_bytes=4_000_000)
    with Decoder(Pseudonyms(KEY), limits) as opened:
        yield opened


def read(decoder: Decoder, path: Path) -> tuple[SourceFacts, list[Decoded]]:
    facts, *frames = decoder.read(path, Kind.DICOM)
    assert isinstance(facts, SourceFacts)
    return facts, [frame for frame in frames if isinstance(frame, Decoded)]


def stacked(frames: list[Decoded]) -> Pixels:
    assert [frame.number for frame in frames] == list(range(len(frames)))
    return np.stack([frame.pixels for frame in frames])


def as_pydicom_reads(path: Path) -> Pixels:
    """Frames (N, H, W[, 3]) by way of the whole data set, which is not how the tool reads."""
    dataset = pydicom.dcmread(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pixels = dataset.pixel_array
    if dataset.PhotometricInterpretation == "PALETTE COLOR":
        colours = apply_color_lut(pixels, dataset)
        pixels = colours >> 8 if colours.max() > 255 else colours
    pixels = pixels.astype(np.uint8)
    single = int(dataset.get("NumberOfFrames") or 1) == 1
    pixels = pixels[None] if single else pixels
    grey = pixels.ndim == 4 and (pixels[..., :1] == pixels).all()
    return pixels[..., 0] if grey else pixels


# pydicom's own files

SPACED = 0.26228787661969977
FILES = {
    "examples_ybr_color.dcm": (30, None),  # its regions are those of a larger picture
    "examples_palette.dcm": (1, None),
    "examples_rgb_color.dcm": (1, None),
    "examples_jpeg2k.dcm": (1, None),
    "SC_rgb_rle_2frame.dcm": (2, None),
    "SC_rgb_jpeg_dcmtk.dcm": (1, None),
    "SC_rgb_jls_lossy_sample.dcm": (1, None),
    "SC_ybr_full_422_uncompressed.dcm": (1, None),
    "OBXXXX1A_2frame.dcm": (2, SPACED),
    "OBXXXX1A_rle_2frame.dcm": (2, SPACED),
    "OBXXXX1A_expb_2frame.dcm": (2, SPACED),
    "gdcm-US-ALOKA-16.dcm": (1, 0.3826530650258064),
    "US1_J2KR.dcm": (1, None),
    "US1_UNCI.dcm": (1, None),
}


@pytest.mark.parametrize("name", FILES)
def test_pydicoms_own_files_come_with_the_pixels_that_pydicom_reads(name: str, decoder: Decoder) -> None:
    found = get_testdata_file(name, download=False)
    assert found is not None, "pydicom-data is not installed"
    count, spacing = FILES[name]
    facts, frames = read(decoder, Path(str(found)))
    np.testing.assert_array_equal(stacked(frames), as_pydicom_reads(Path(str(found))))
    assert len(frames) == count
    assert facts.pixel_spacing_mm == (None if spacing is None else (spacing, spacing))


# Files of our own, in every compression


def compressed(syntax: str) -> Callable[[FileDataset], None]:
    return lambda dataset: dataset.compress(syntax)


def in_syntax(syntax: str) -> Callable[[FileDataset], None]:
    def change(dataset: FileDataset) -> None:
        dataset.file_meta.TransferSyntaxUID = syntax

    return change


LOSSLESS: dict[str, Callable[[FileDataset], None]] = {
    "explicit": lambda dataset: None,
    "implicit": in_syntax(ImplicitVRLittleEndian),
    "deflated": in_syntax(DeflatedExplicitVRLittleEndian),
    "RLE": compressed(RLELossless),
    "JPEG-LS": compressed(JPEGLSLossless),
    "JPEG 2000": compressed(JPEG2000Lossless),
}


@pytest.mark.parametrize("how", LOSSLESS)
@pytest.mark.parametrize("colour", [False, True])
def test_lossless_files_come_bit_for_bit(how: str, colour: bool, decoder: Decoder, tmp_path: Path) -> None:
    frames = some_frames()
    if colour:
        frames = np.stack([frames, frames // 2, 255 - frames], axis=-1)
    dataset = a_dicom(frames)
    LOSSLESS[how](dataset)
    facts, got = read(decoder, saved(dataset, tmp_path))
    np.testing.assert_array_equal(stacked(got), frames)
    assert [frame.time_s for frame in got] == pytest.approx([0.0, 0.04, 0.08])
    assert facts.pixel_spacing_mm == pytest.approx((0.2, 0.2))
    assert facts.scanner == "Makers Sono 1"
    assert facts.group is not None


@pytest.mark.parametrize("colour", [False, True])
def test_jpeg_is_near_what_it_was_made_from(colour: bool, decoder: Decoder, tmp_path: Path) -> None:
    frames = some_frames(size_wh=(128, 96))
    if colour:
        frames = np.stack([frames // 2 + 60, frames // 2, frames // 2 + 20], axis=-1)
    _, got = read(decoder, saved(as_jpeg(a_dicom(frames), frames), tmp_path))
    np.testing.assert_allclose(stacked(got).astype(int), frames, atol=40)
    assert np.abs(stacked(got).astype(int) - frames).mean() < 3


@pytest.mark.parametrize(
    ("elements", "expected"),
    [
        ({}, lambda values: values >> 4),
        (
            {"WindowCenter": 2048, "WindowWidth": 4096},
            lambda values: np.round((values - 2047.5) / 4095 * 255 + 127.5),
        ),
        ({"WindowCenter": 1000, "WindowWidth": 1}, lambda values: np.where(values > 999.5, 255, 0)),
        ({"PhotometricInterpretation": "MONOCHROME1"}, lambda values: 255 - (values >> 4)),
    ],
)
def test_deep_grays_become_eight_bits(
    elements: dict[str, Any], expected: Callable[[Any], Any], decoder: Decoder, tmp_path: Path
) -> None:
    values = np.linspace(0, 4095, 2 * 48 * 64).astype(np.uint16).reshape(2, 48, 64)
    _, got = read(decoder, saved(a_dicom(values, BitsStored=12, HighBit=11, **elements), tmp_path))
    assert np.abs(stacked(got).astype(int) - expected(values.astype(int))).max() <= 1


def test_monochrome1_is_turned_over(decoder: Decoder, tmp_path: Path) -> None:
    _, got = read(decoder, saved(a_dicom(PhotometricInterpretation="MONOCHROME1"), tmp_path))
    np.testing.assert_array_equal(stacked(got), 255 - some_frames())


# Spacing


@pytest.mark.parametrize(
    ("regions", "spacing"),
    [
        ([], None),
        ([a_region(0.2)], 0.2),
        ([a_region(0.2, (0, 0, 30, 48)), a_region(0.2, (30, 0, 64, 48))], 0.2),
        ([a_region(0.2, (0, 0, 30, 48)), a_region(0.3, (30, 0, 64, 48))], None),  # they disagree
        ([a_region(0.2), a_region(9, (0, 0, 9, 9), RegionSpatialFormat=3)], 0.2),  # a spectrum beside it
        ([a_region(0.2, (0, 0, 595, 414))], None),  # of another scaling
        ([a_region(0.2, (40, 0, 30, 48))], None),
        ([a_region(0.2, PhysicalUnitsYDirection=4)], None),  # seconds
        ([a_region(0.2, PhysicalDeltaX=-0.02)], 0.2),
        ([a_region(0.2, PhysicalDeltaX=0.03)], None),
        ([a_region(0.0)], None),
        ([a_region(float("nan"))], None),
        ([a_region(30.0)], None),
        ([a_region(0.2, RegionLocationMaxX1=None)], None),
        ([a_region(0.2, RegionDataType=2)], None),
    ],
)
def test_spacing_is_believed_only_where_everything_fits(
    regions: list[Any], spacing: float | None, decoder: Decoder, tmp_path: Path
) -> None:
    facts, _ = read(decoder, saved(a_dicom(SequenceOfUltrasoundRegions=regions), tmp_path))
    assert facts.pixel_spacing_mm == (None if spacing is None else pytest.approx((spacing, spacing)))


# Bad files


def cut(path: Path, keep: float) -> Path:
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * keep)])
    return path


def lying(**elements: Any) -> Callable[[Path], Path]:
    return lambda folder: saved(a_dicom(**elements), folder)


def lying_jpeg(**elements: Any) -> Callable[[Path], Path]:
    frames = some_frames(5)
    return lambda folder: saved(as_jpeg(a_dicom(frames, **elements), frames), folder)


def written(content: bytes) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        (folder / "a.dcm").write_bytes(content)
        return folder / "a.dcm"

    return write


def a_deflated_bomb(folder: Path) -> Path:
    dataset = a_dicom()
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    path = saved(dataset, folder)
    whole = path.read_bytes()
    meta = pydicom.filereader.read_file_meta_info(path)
    start = 144 + int(meta.FileMetaInformationGroupLength)
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    bomb = b"".join(packer.compress(bytes(1 << 20)) for _ in range(64)) + packer.flush()
    path.write_bytes(whole[:start] + bomb)
    return path


def as_lossless_jpeg(folder: Path) -> Path:
    frames = some_frames()
    dataset = as_jpeg(a_dicom(frames), frames)
    dataset.file_meta.TransferSyntaxUID = JPEGLossless
    return saved(dataset, folder)


BAD: dict[str, tuple[Callable[[Path], Path], str]] = {
    "empty": (written(b""), "the file is empty"),
    "a text": (written(b"gone fishing"), "not a DICOM file"),
    "encrypted": (written(np.random.default_rng(0).bytes(5000)), "not a DICOM file"),
    "only the mark": (written(bytes(128) + b"DICM"), ""),
    "noise after the mark": (written(bytes(128) + b"DICM" + np.random.default_rng(0).bytes(5000)), ""),
    "no pixels": (lying(PixelData=None), "holds no pixels"),
    "half the rows": (lying(Rows=24), "bytes where 3 frames of 64x24 need"),
    "one column more": (lying(Columns=65), "bytes where"),
    "more frames than there are": (lying(NumberOfFrames=7), "bytes where 7 frames"),
    "less frames than there are": (lying(NumberOfFrames=2), "bytes where 2 frames"),
    "a milliard frames": (lying(NumberOfFrames=10**9), "frames declared"),
    "no frames": (lying(NumberOfFrames=0), "frames declared"),
    "enormous": (lying(Rows=65535, Columns=65535), "pixels are more than"),
    "nothing wide": (lying(Columns=0), "too small"),
    "a colour too many": (lying(SamplesPerPixel=3), "samples a pixel"),
    "no kind of colour": (lying(PhotometricInterpretation="SECRET"), "samples a pixel"),
    "floats": (lying(BitsAllocated=32, BitsStored=32), "32 bits a sample"),
    "cut off": (lambda folder: cut(lying()(folder), 0.8), "cut off"),
    "JPEG cut off": (lambda folder: cut(lying_jpeg()(folder), 0.7), "cut off"),
    "JPEG of another size": (lying_jpeg(Rows=40), ""),
    "a deflated bomb": (a_deflated_bomb, "deflated data larger than"),
    "lossless JPEG without its decoder": (as_lossless_jpeg, "jpeg-lossless"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_file_is_one_line_under_a_name_that_is_not_its_own(
    case: str, decoder: Decoder, tmp_path: Path
) -> None:
    make, says = BAD[case]
    with pytest.raises(FrameError) as error:
        read(decoder, make(tmp_path))
    assert says in error.value.reason
    assert "\n" not in str(error.value)
    assert error.value.source_file.startswith("dicom-")
    assert str(tmp_path) not in str(error.value)
    assert "SECRET" not in str(error.value)


@pytest.mark.parametrize("declared", [3, 7])
def test_frames_are_counted_not_believed(declared: int, decoder: Decoder, tmp_path: Path) -> None:
    facts, got = read(decoder, lying_jpeg(NumberOfFrames=declared)(tmp_path))
    assert (len(got), facts.frames_declared) == (5, declared)


def test_flipped_bytes_never_stop_the_decoder(decoder: Decoder, tmp_path: Path) -> None:
    path, rng = lying_jpeg()(tmp_path), np.random.default_rng(1)
    whole, failed = path.read_bytes(), 0
    for _ in range(40):
        damaged = bytearray(whole)
        for place in rng.integers(132, len(whole), 8):
            damaged[place] = int(rng.integers(256))
        path.write_bytes(bytes(damaged))
        try:
            read(decoder, path)
        except FrameError:
            failed += 1
    assert failed > 5
    assert len(read(decoder, saved(a_dicom(), tmp_path))[1]) == 3


def test_a_file_that_takes_too_long_or_too_much_memory_ends_alone(tmp_path: Path) -> None:
    frames = some_frames(2, (1500, 1200))
    path = saved(a_dicom(frames), tmp_path)
    for limits, says in (
        (Limits(seconds_per_frame=0.0), "took longer"),
        (Limits(memory_bytes=60_000_000), "memory"),
    ):
        with Decoder(Pseudonyms(KEY), limits) as decoder, pytest.raises(FrameError, match=says):
            read(decoder, path)


def test_reading_can_be_ended_early_and_goes_on_with_the_next_file(tmp_path: Path) -> None:
    path = saved(a_dicom(), tmp_path)
    with Decoder(Pseudonyms(KEY)) as decoder:
        reading = decoder.read(path, Kind.DICOM)
        next(reading)
        reading.close()  # type: ignore[attr-defined]
        assert len(read(decoder, path)[1]) == 3


# Whose it is


def test_subjects_are_told_apart_by_id_not_by_name(decoder: Decoder, tmp_path: Path) -> None:
    one, _ = read(decoder, saved(a_dicom(PatientID="1"), tmp_path, "a"))
    other, _ = read(decoder, saved(a_dicom(PatientID="2"), tmp_path, "b"))
    again, _ = read(decoder, saved(a_dicom(PatientID=" 1 "), tmp_path, "c"))
    assert one.subject == again.subject != other.subject
    assert one.person == other.person
    assert one.group != again.group


@pytest.mark.parametrize("nobody", ["", "ANONYMOUS", "0"])
def test_no_id_is_nobodys_id(nobody: str, decoder: Decoder, tmp_path: Path) -> None:
    one, _ = read(decoder, saved(a_dicom(PatientID=nobody), tmp_path, "a"))
    other, _ = read(decoder, saved(a_dicom(PatientID=nobody), tmp_path, "b"))
    without = a_dicom(PatientID=nobody, StudyInstanceUID=None)
    alone, again = (read(decoder, saved(without, tmp_path, name))[0] for name in "cd")
    assert len({one.subject, other.subject, alone.subject, again.subject}) == 4


def test_a_file_is_known_by_its_mark_whatever_it_is_called(tmp_path: Path) -> None:
    assert kind_of(saved(a_dicom(), tmp_path, "1.2.840.113619")) == Kind.DICOM
    (tmp_path / "still").write_bytes(b"x")
    assert kind_of(tmp_path / "still") == Kind.RASTER
