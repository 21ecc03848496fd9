"""What the columns of a table of scores mean: the one list that reading, writing and the report share."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Column:
    """One column of the long form; `kind` is how its text is read."""

    name: str
    kind: str
    meaning: str
    values: str = ""
    unit: str = ""
    required: bool = False


COLUMNS: tuple[Column, ...] = (
    Column("case", "text", "The frame that was graded.", "an opaque name, the same for all readers", required=True),
    Column("subject", "text", "The subject's pseudonym: frames of one subject are resampled together."),
    Column("site", "text", "The hospital or unit where the frame was recorded."),
    Column("scanner", "text", "Make and model of the ultrasound machine."),
    Column("plane", "text", "The plane or view of the frame."),
    Column("split", "text", "The part of the data set that the frame belongs to.", "for example train, val, test"),
    Column("study", "text", "The reader study."),
    Column("reader", "text", "The reader's pseudonym.", required=True),
    Column("mode", "text", "How the reader worked.", "autonomous, guided", required=True),
    Column("version", "text", "The model version that was graded.", required=True),
    Column("slot", "text", "The anonymous place in which the version was shown.", "for example A, B, C"),
    Column("dimension", "text", "What was graded.", "interpretation, annotation", required=True),
    Column(
        "grade",
        "grade",
        "The reader's grade; lower is better.",
        "1 acceptable, 2 minor issues, 3 major errors, NG not gradable",
        required=True,
    ),
    Column("suggested_grade", "grade", "The grade that the checklist of criteria suggested.", "1, 2, 3, NG"),
    Column("repeat", "whole", "0 for the first showing, 1 and up for hidden repeats of it.", "0, 1, ..."),
    Column("position", "number", "The place of the case in the reader's own order, from 1."),
    Column("period", "number", "The period of a cross-over in which the case was graded, from 1."),
    Column("seconds", "number", "Time spent on this grade; a case's time is the sum over its rows.", unit="s"),
    Column("edit_seconds", "number", "Time spent on correcting the geometry after the grade.", unit="s"),
    Column("apl_px", "number", "Added path length of the correction.", unit="px of the original frame"),
    Column("dice_change", "number", "1 minus the Dice of the model's and the corrected masks.", "0 to 1"),
    Column("hd95_change_px", "number", "95th percentile Hausdorff distance, model to corrected.", unit="px"),
    Column("own_view_agrees", "flag", "Guided: the reader's own view agreed with the model's.", "0, 1"),
    Column("overturned", "flag", "Guided: the reader gave up an own view for the model's.", "0, 1"),
    Column("comment", "text", "The reader's remark."),
    Column("frame", "text", "The frame's content hash in the store."),
    Column("prediction", "text", "The stored prediction that was graded."),
    Column("criteria", "text", "The criteria of the checklist that the reader ticked, space-separated."),
    Column("error_types", "text", "Types of error per field of the interpretation, as JSON."),
    Column("blinded", "text", "The reader did not see the version's name.", "0, 1"),
    Column("changed", "text", "How often the grade was changed after it was first given; the newest counts."),
    Column("reason", "text", "Why a grade was changed."),
    Column("graded_at", "text", "When the grade was given, UTC.", "ISO 8601"),
    Column("own_plane", "text", "Guided: the plane as the reader saw it before the model's text."),
    Column("own_normality", "text", "Guided: whether the reader found the frame normal before the model's text."),
    Column("own_targets", "text", "Guided: the reader chose other structures than the preset ones.", "0, 1"),
    Column("guided_seconds", "text", "Guided: time spent on all steps of the case.", unit="s"),
)
BY_NAME = {column.name: column for column in COLUMNS}
REQUIRED = tuple(column.name for column in COLUMNS if column.required)
OWN = "Not one of the columns of this tool; kept as it came."


def codebook_rows(names: Iterable[str]) -> list[dict[str, str]]:
    """Describe the given columns, in their order.

    >>> codebook_rows(["seconds"])[0]["unit"]
    's'
    """
    described = (BY_NAME.get(name, Column(name, "text", OWN)) for name in names)
    return [
        {
            "column": column.name,
            "meaning": column.meaning,
            "values": column.values,
            "unit": column.unit,
            "required": "yes" if column.required else "no",
        }
        for column in described
    ]
