"""Stills, DICOM files, cine -> frames: 8-bit pixels without metadata, named by a hash of their content."""

from annotator.frames.finding import SUFFIXES, Kind, find_images, find_sources, kind_of
from annotator.frames.raster import FORMATS, SMALLEST_SIDE, read_pixels
from annotator.frames.records import (
    FrameFacts,
    Pixels,
    frame_id_of,
    load_frame,
    make_frame,
    readable_name,
    save_pixels,
    subject_from_name,
)

__all__ = [
    "FORMATS",
    "SMALLEST_SIDE",
    "SUFFIXES",
    "FrameFacts",
    "Kind",
    "Pixels",
    "find_images",
    "find_sources",
    "frame_id_of",
    "kind_of",
    "load_frame",
    "make_frame",
    "read_pixels",
    "readable_name",
    "save_pixels",
    "subject_from_name",
]
