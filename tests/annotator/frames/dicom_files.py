"""Simulated DICOM ultrasound files, sound and otherwise; SIMULATED^PHANTOM is nobody."""

import io
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence
from pydicom.tag import Tag
from pydicom.uid import UID, ExplicitVRLittleEndian, JPEGBaseline8Bit, generate_uid

US_MULTIFRAME = UID("1.2.840.10008.5.1.4.1.1.3.1")


def a_region(spacing_mm: float = 0.2, box: tuple[int, int, int, int] = (0, 0, 64, 48), **more: Any) -> Dataset:
    region = Dataset()
    region.RegionSpatialFormat = region.RegionDataType = 1
    region.RegionFlags = 0
    names = ("MinX0", "MinY0", "MaxX1", "MaxY1")
    for name, value in zip(names, box, strict=True):
        setattr(region, f"RegionLocation{name}", value)
    region.PhysicalUnitsXDirection = region.PhysicalUnitsYDirection = 3
    region.PhysicalDeltaX = region.PhysicalDeltaY = spacing_mm / 10
    for name, value in more.items():
        setattr(region, name, value)
    return region


def some_frames(count: int = 3, size_wh: tuple[int, int] = (64, 48), seed: int = 0) -> NDArray[np.uint8]:
    """Smooth random pictures (N, H, W): unlike noise they survive JPEG."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (count, 4, 4), dtype=np.uint8)
    rows, columns = (np.linspace(0, 3, side).round().astype(int) for side in size_wh[::-1])
    return coarse[:, rows][:, :, columns]


def a_dicom(frames: NDArray[Any] | None = None, **elements: Any) -> FileDataset:
    """A multi-frame ultrasound file of frames (N, H, W) or (N, H, W, 3); an element that is None is left out."""
    frames = some_frames() if frames is None else frames
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = US_MULTIFRAME, generate_uid()
    dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID, dataset.SOPInstanceUID = US_MULTIFRAME, meta.MediaStorageSOPInstanceUID
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = generate_uid(), generate_uid()
    dataset.PatientName, dataset.PatientID, dataset.Modality = "SIMULATED^PHANTOM", "4711", "US"
    dataset.Manufacturer, dataset.ManufacturerModelName = "Makers", "Sono 1"
    dataset.Rows, dataset.Columns = frames.shape[1:3]
    bits = 8 * frames.dtype.itemsize
    dataset.BitsAllocated = dataset.BitsStored = bits
    dataset.HighBit, dataset.PixelRepresentation = bits - 1, 0
    dataset.SamplesPerPixel = 3 if frames.ndim == 4 else 1
    dataset.PhotometricInterpretation = "RGB" if frames.ndim == 4 else "MONOCHROME2"
    if frames.ndim == 4:
        dataset.PlanarConfiguration = 0
    dataset.NumberOfFrames, dataset.FrameTime, dataset.FrameIncrementPointer = len(frames), 40.0, Tag("FrameTime")
    dataset.SequenceOfUltrasoundRegions = Sequence([a_region(box=(0, 0, frames.shape[2], frames.shape[1]))])
    dataset.PixelData = frames.tobytes()
    dataset["PixelData"].VR = "OB" if bits == 8 else "OW"
    for name, value in elements.items():
        if value is None:
            delattr(dataset, name)
        else:
            setattr(dataset, name, value)
    return dataset


def saved(dataset: FileDataset, folder: Path, name: str = "IM_0001") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    dataset.save_as(folder / name, enforce_file_format=True)
    return folder / name


def as_jpeg(dataset: FileDataset, frames: NDArray[np.uint8], quality: int = 90) -> FileDataset:
    """The same file with JPEG baseline inside, which pydicom does not write itself."""
    coded = []
    for frame in frames:
        buffer = io.BytesIO()
        Image.fromarray(frame).save(buffer, "JPEG", quality=quality)
        coded.append(buffer.getvalue())
    dataset.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    dataset.PixelData = encapsulate(coded)
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    if frames.ndim == 4:
        dataset.PhotometricInterpretation = "YBR_FULL_422"
    return dataset
