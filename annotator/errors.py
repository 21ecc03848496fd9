"""Every error this tool raises on purpose.

    AnnotatorError
    ├── InputError          a file, folder, option or value from outside cannot be used
    │   ├── FrameError      one image cannot become a Frame
    │   └── CocoError       a COCO file contradicts itself or the images beside it
    ├── StoreError          the workspace database is missing, locked, of another version, or was tampered with
    ├── BackendError        a model cannot be loaded or asked
    ├── LabelStudioError    Label Studio cannot be reached, refuses, or answers nonsense
    └── JobError            queued work cannot start or go on

The message is one line that names the thing and the mend; the command line prints it and exits with 1.
"""


class AnnotatorError(Exception):
    """Base of all; `str(error)` is fit to show to a user."""


class InputError(AnnotatorError):
    """A file, folder, option or value from outside cannot be used."""


class FrameError(InputError):
    """One image cannot become a Frame; the others go on."""

    def __init__(self, source_file: str, reason: str) -> None:
        super().__init__(f"{source_file}: {reason}")
        self.source_file = source_file
        self.reason = reason


class CocoError(InputError):
    """A COCO file contradicts itself or the images beside it."""


class StoreError(AnnotatorError):
    """The workspace database is missing, locked, of another version, or was tampered with."""


class BackendError(AnnotatorError):
    """A model cannot be loaded or asked."""


class LabelStudioError(AnnotatorError):
    """Label Studio cannot be reached, refuses, or answers nonsense."""


class JobError(AnnotatorError):
    """Queued work cannot start or go on."""
