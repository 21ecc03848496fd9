"""DICOM ultrasound, single and multi-frame -> pictures and what may be known of them. Runs in the decoding process.

Only elements of an allow list are parsed at all; they are copied into `SourceFacts`, ids as pseudonyms. Counts
and lengths are checked against the bytes that are there before anything is decoded, since a wrong number of rows
decodes without an error. Decoders are pinned by name: they differ by up to five gray levels, and so would the ids.
"""

import logging
import os
import warnings
import zlib
from collections.abc import Callable, Iterator
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom import uid
from pydicom.dataset import FileDataset
from pydicom.filereader import read_file_meta_info
from pydicom.pixels.processing import apply_color_lut
from pydicom.pixels.utils import iter_pixels

from annotator.deidentify.pseudonyms import Pseudonyms, a_random_subject
from annotator.frames.pixel_data import PixelData, find_pixel_data
from annotator.frames.records import Pixels, readable_name
from annotator.frames.regions import spacing_of_regions
from annotator.frames.reports import Decoded, DecodingError, Limits, SourceFacts

# Decoder by transfer syntax. pylibjpeg-rle panics on damaged files and is not used. gdcm aborts on JPEG baseline
# and is used for lossless JPEG alone, where it did not and where the only other decoder is under the GPL.
DECODERS: dict[str, str] = {
    uid.ImplicitVRLittleEndian: "", uid.ExplicitVRLittleEndian: "", uid.ExplicitVRBigEndian: "",
    uid.DeflatedExplicitVRLittleEndian: "", uid.RLELossless: "pydicom", uid.JPEGBaseline8Bit: "pillow",
    uid.JPEGLSLossless: "pyjpegls", uid.JPEGLSNearLossless: "pyjpegls",
    uid.JPEG2000Lossless: "pylibjpeg", uid.JPEG2000: "pylibjpeg",
    uid.JPEGLossless: "gdcm", uid.JPEGLosslessSV1: "gdcm",
}  # fmt: skip
IDENTIFYING = ("PatientID", "PatientName", "PatientBirthDate", "StudyInstanceUID", "SOPInstanceUID")
ALLOWED = (
    "Rows", "Columns", "SamplesPerPixel", "PhotometricInterpretation", "PlanarConfiguration", "BitsAllocated",
    "BitsStored", "HighBit", "PixelRepresentation", "NumberOfFrames", "FrameTime", "FrameTimeVector", "CineRate",
    "WindowCenter", "WindowWidth", "RescaleSlope", "RescaleIntercept", "Manufacturer", "ManufacturerModelName",
    "SequenceOfUltrasoundRegions", "RedPaletteColorLookupTableDescriptor", "GreenPaletteColorLookupTableDescriptor",
    "BluePaletteColorLookupTableDescriptor", "RedPaletteColorLookupTableData", "GreenPaletteColorLookupTableData",
    "BluePaletteColorLookupTableData", "SegmentedRedPaletteColorLookupTableData",
    "SegmentedGreenPaletteColorLookupTableData", "SegmentedBluePaletteColorLookupTableData",
)  # fmt: skip
_SAMPLES = {"MONOCHROME1": 1, "MONOCHROME2": 1, "PALETTE COLOR": 1}
_COLOURS = frozenset({"RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT"})
_LONGEST_NAME = 64
_META_AT = 144  # preamble, mark, and the element that holds the length of the file meta


class DicomFile:
    """One file, its header checked; `facts` and `frames()` are all that comes out of it."""

    def __init__(self, path: Path, pseudonyms: Pseudonyms, limits: Limits) -> None:
        """Read and check the header; DecodingError where the file cannot become frames."""
        logging.getLogger("pydicom").disabled = True  # its warnings quote values
        self._path, self._limits = path, limits
        with path.open("rb") as stream, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self._header = _read_header(path, stream, limits)
            self._pixel_data = None if self._is_deflated else find_pixel_data(stream, self._header)
        self._check_image()
        count = self._count_frames()
        self.facts = _facts_of(self._header, path, pseudonyms, count)

    def frames(self) -> Iterator[Decoded]:
        """Yield the pictures in order, one in memory at a time: uint8, (H, W) gray or (H, W, 3) RGB."""
        times = _frame_times(self._header)
        for number, values in enumerate(self._decoded()):
            if number >= self._limits.max_frames:
                raise DecodingError(f"more than {self._limits.max_frames} frames")
            if values.shape[:2] != (self._rows, self._columns):
                raise DecodingError("a frame has another size than the header says")
            yield Decoded(number, times(number), self._to_pixels(values))

    @property
    def _syntax(self) -> str:
        return str(self._header.file_meta.TransferSyntaxUID)

    @property
    def _is_deflated(self) -> bool:
        return self._syntax == uid.DeflatedExplicitVRLittleEndian

    def _check_image(self) -> None:
        header = self._header
        self._rows, self._columns = _number(header, "Rows"), _number(header, "Columns")
        self._samples, self._bits = _number(header, "SamplesPerPixel"), _number(header, "BitsAllocated")
        self._stored = _number(header, "BitsStored")
        self._colours = str(header.get("PhotometricInterpretation", ""))
        wanted = _SAMPLES.get(self._colours, 3 if self._colours in _COLOURS else 0)
        if self._samples != wanted:
            raise DecodingError(f"{self._samples} samples a pixel do not go with its kind of colour")
        if self._bits not in (8, 16) or not 1 <= self._stored <= self._bits:
            raise DecodingError(f"{self._bits} bits a sample; only 8 and 16 are read")
        if self._rows * self._columns > self._limits.max_pixels:
            raise DecodingError(
                f"{self._columns}x{self._rows} pixels are more than the {self._limits.max_pixels:,} allowed"
            )
        if min(self._rows, self._columns) < 16:
            raise DecodingError(f"{self._columns}x{self._rows} pixels are too small, each side needs 16 or more")

    def _count_frames(self) -> int:
        """Return how many frames the bytes hold; DecodingError where they do not fit what the header says."""
        declared = _number(self._header, "NumberOfFrames", 1)
        if not 1 <= declared <= self._limits.max_frames:
            raise DecodingError(f"{declared} frames declared; 1 to {self._limits.max_frames} are read")
        if self._pixel_data is None:
            return declared
        if not self._pixel_data.encapsulated:
            self._check_native_length(self._pixel_data, declared)
            return declared
        return self._pixel_data.may_hold(declared)

    def _check_native_length(self, pixel_data: PixelData, declared: int) -> None:
        samples = 2 if self._colours == "YBR_FULL_422" else self._samples
        expected = declared * self._rows * self._columns * samples * self._bits // 8
        if not expected <= pixel_data.length <= expected + expected % 2:
            raise DecodingError(
                f"its pixel data hold {pixel_data.length:,} bytes where {declared} frames of "
                f"{self._columns}x{self._rows} need {expected:,}"
            )

    def _to_pixels(self, values: NDArray[Any]) -> Pixels:
        if self._colours == "PALETTE COLOR":
            return _gray_if_equal((apply_color_lut(values, self._header) >> self._palette_shift).astype(np.uint8))
        if self._samples == 3:
            return _gray_if_equal((values >> max(self._stored - 8, 0)).astype(np.uint8))
        gray = values.astype(np.uint8) if self._bits == 8 and values.dtype.kind == "u" else self._shown(values)
        return 255 - gray if self._colours == "MONOCHROME1" else gray

    @cached_property
    def _palette_shift(self) -> int:
        """Colours have 16 bits and are full from 255 * 256 on; some files hold 8-bit values in them."""
        every_index = np.arange(1 << self._stored, dtype=np.uint16 if self._bits == 16 else np.uint8)
        return 8 if apply_color_lut(every_index, self._header).max() > 255 else 0

    def _shown(self, values: NDArray[Any]) -> Pixels:
        """Deep grays as the file wants them shown (PS3.3 C.11.2.1.2.1); without a window their highest bits."""
        centre, width = (_first(self._header.get(name)) for name in ("WindowCenter", "WindowWidth"))
        if centre is None or width is None or width < 1:
            lowest, bits = self._used
            return ((values.astype(np.int64) - lowest).clip(0) >> max(bits - 8, 0)).astype(np.uint8)
        slope, lift = _first(self._header.get("RescaleSlope")), _first(self._header.get("RescaleIntercept"))
        real = values.astype(np.float64) * (1.0 if slope is None else slope) + (lift or 0.0)
        shown = ((real - (centre - 0.5)) / max(width - 1, 1e-6) + 0.5) * 255
        return shown.clip(0, 255).round().astype(np.uint8)

    @cached_property
    def _used(self) -> tuple[int, int]:
        """Least value of all frames, or 0 if that is less, and how many bits the range up from there takes."""
        ends = [(int(values.min()), int(values.max())) for values in self._decoded()]
        lowest = min(0, *(least for least, _ in ends))
        return lowest, (max(most for _, most in ends) - lowest).bit_length()

    def _decoded(self) -> Iterator[NDArray[Any]]:
        # A path is streamed; a dataset is held whole, which only a deflated one (bounded before) has to be.
        source = pydicom.dcmread(self._path) if self._is_deflated else self._path
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield from iter_pixels(source, decoding_plugin=DECODERS[self._syntax])


def _read_header(path: Path, stream: BinaryIO, limits: Limits) -> FileDataset:
    stream.seek(0, os.SEEK_END)
    size = stream.tell()
    stream.seek(128)
    if stream.read(4) != b"DICM":
        raise DecodingError(
            "not a DICOM file: its mark is missing (encrypted, or no DICOM at all)" if size else "the file is empty"
        )
    meta = read_file_meta_info(path)
    syntax = str(meta.get("TransferSyntaxUID", ""))
    if syntax not in DECODERS or (DECODERS[syntax] == "gdcm" and find_spec("gdcm") is None):
        raise DecodingError(_unreadable_syntax(syntax))
    if syntax == uid.DeflatedExplicitVRLittleEndian:
        stream.seek(_META_AT + int(meta.FileMetaInformationGroupLength))
        _check_inflated_size(stream, limits)
    stream.seek(0)
    return pydicom.dcmread(stream, stop_before_pixels=True, specific_tags=[*ALLOWED, *IDENTIFYING])


def _unreadable_syntax(syntax: str) -> str:
    """Say what kind of compression is not read; the name comes from the standard's table, never from the file."""
    if DECODERS.get(syntax) == "gdcm":
        return (
            "its pixels are in lossless JPEG: pip install 'fetal-annotator[jpeg-lossless]', or export uncompressed"
        )
    known = uid.UID(syntax)
    named = not known.is_private and known.type == "Transfer Syntax"
    name = known.name if named else "an unknown transfer syntax"
    return f"its pixels are in {name}, which is not read; export it uncompressed, as JPEG baseline or JPEG 2000"


def _check_inflated_size(stream: BinaryIO, limits: Limits) -> None:
    """Refuse what would fill the memory: pydicom inflates a deflated file whole, whatever it is asked for."""
    inflater, total = zlib.decompressobj(-zlib.MAX_WBITS), 0
    while chunk := stream.read(1 << 16):
        while chunk:
            total += len(inflater.decompress(chunk, 1 << 20))
            if total > limits.max_inflated_bytes:
                raise DecodingError(
                    f"deflated data larger than {limits.max_inflated_bytes:,} bytes; export it uncompressed"
                )
            chunk = inflater.unconsumed_tail


def _facts_of(header: FileDataset, path: Path, pseudonyms: Pseudonyms, count: int) -> SourceFacts:
    """Copy what is allowed; nothing else of the header is ever looked at."""
    study, instance = str(header.get("StudyInstanceUID", "")), str(header.get("SOPInstanceUID", ""))
    patient = str(header.get("PatientID", ""))
    subject = pseudonyms.subject(patient)
    if subject is None:  # a study is of one patient; without that too, nothing says who it is
        subject = f"sub-{pseudonyms.digest('study', study)}" if study else a_random_subject()
    person = "\0".join(str(header.get(name, "")) for name in ("PatientName", "PatientBirthDate"))
    maker = " ".join(f"{header.get('Manufacturer', '')} {header.get('ManufacturerModelName', '')}".split())
    return SourceFacts(
        name=pseudonyms.file(instance or str(path)),
        subject=subject,
        group=pseudonyms.group(instance or str(path)) if count > 1 else None,
        person=pseudonyms.digest("person", person),
        scanner=readable_name(maker)[:_LONGEST_NAME] or None,
        pixel_spacing_mm=spacing_of_regions(
            header.get("SequenceOfUltrasoundRegions") or [], (_number(header, "Columns"), _number(header, "Rows"))
        ),
        frames_declared=_number(header, "NumberOfFrames", 1),
    )


def _frame_times(header: FileDataset) -> Callable[[int], float | None]:
    """Return a function from a frame's number to its seconds from the first, or to None where nothing says."""
    steps = header.get("FrameTimeVector")
    if steps is not None and not isinstance(steps, float | int | str) and len(steps) > 1:
        seconds = np.cumsum([float(step) for step in steps]) / 1000
        return lambda number: float(seconds[number]) if number < len(seconds) else None
    step, rate = _first(header.get("FrameTime")), _first(header.get("CineRate"))
    if step is None and rate:
        step = 1000 / rate
    return lambda number: number * step / 1000 if step is not None and step > 0 else None


def _number(header: FileDataset, name: str, default: int = 0) -> int:
    value = header.get(name)
    try:
        return default if value is None or value == "" else int(value)
    except (TypeError, ValueError):
        return default


def _first(value: Any) -> float | None:
    try:
        return float(value[0] if hasattr(value, "__len__") and not isinstance(value, str) else value)
    except (TypeError, ValueError, IndexError):
        return None


def _gray_if_equal(colours: Pixels) -> Pixels:
    is_gray = bool((colours[..., :1] == colours).all())
    return np.ascontiguousarray(colours[..., 0]) if is_gray else colours
