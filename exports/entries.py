"""What every export is given: frames, one by one, with what was said of them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from annotator.schema import Correction, Frame, Prediction

Said = Prediction | Correction
ImagePaths = Mapping[str, Path] | Callable[[str], Path]


@dataclass(frozen=True, slots=True)
class Entry:
    """One frame with what was said of it, and every name that its content came under."""

    frame: Frame
    said: Said
    names: Sequence[str] = ()

    @property
    def said_by(self) -> str:
        """The model version or the reader."""
        return self.said.model_version if isinstance(self.said, Prediction) else self.said.reader

    @property
    def record_id(self) -> str:
        """The id of the Prediction or Correction."""
        return self.said.prediction_id if isinstance(self.said, Prediction) else self.said.correction_id


def path_finder(image_paths: ImagePaths) -> Callable[[str], Path]:
    """Return the function that gives the stored PNG of a frame_id."""
    return image_paths.__getitem__ if isinstance(image_paths, Mapping) else image_paths
