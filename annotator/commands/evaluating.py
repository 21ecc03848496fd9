"""`evaluate --answers`: written answers from anywhere, looked over and scored; two files are compared in pairs."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, NamedTuple

from annotator.cli import Result
from annotator.commands.workspace import opened
from annotator.errors import InputError
from annotator.schema import Frame
from annotator.settings import read_settings

if TYPE_CHECKING:
    from exports.answers import AnswerFile
    from exports.text.study import TextScorer


class MetricFolders(NamedTuple):
    """Where weights of metrics lie; `sentence_model` may be 'packaged', `images` is what answers are about."""

    sentence_model: str | None = None
    bertscore: Path | None = None
    bleurt: Path | None = None
    alignscore: Path | None = None
    image_text: Path | None = None
    images: Path | None = None


def evaluate_answers(
    workspace: Path,
    answers: Path | Sequence[Path],
    *,
    split: str | None = None,
    metrics: MetricFolders | None = None,
) -> Result:
    """Report on one file of answers, or on two and their paired difference.

    Frames of the workspace, where there is one, tell which images were trained on. A metric that needs weights is
    absent without its folder.
    """
    from exports.answers import read_answers
    from exports.text import report
    from exports.text.scoring import Scored

    paths = [answers] if isinstance(answers, Path) else list(answers)
    if not 1 <= len(paths) <= 2:
        raise InputError(f"--answers takes one file, or two to compare; got {len(paths)}")
    scorers = _scorers(metrics or MetricFolders())
    scored = []
    for path in paths:
        file = read_answers(path)
        splits = splits_of({answer.image for answer in file.answers}, _frames(workspace))
        scored.append(Scored(_only(file, split, splits), splits, scorers))
    reports = [report.report_answers(one) for one in scored]
    if len(reports) == 1:
        return Result(reports[0], report.as_text(reports[0]))
    paired = report.compare_answers(*scored)
    alarms = [f"{one['file']}: {line}" for one in reports for line in one["verdicts"]]
    texts = [f"{one['file']}\n{report.as_text({**one, 'verdicts': []}).strip()}" for one in reports]
    text = "\n\n".join(["\n".join(alarms), report.comparison_as_text(paired), *texts])
    return Result({"verdicts": alarms, "paired": paired, "files": reports}, text)


def _scorers(folders: MetricFolders) -> "list[TextScorer]":
    if not any(folders):
        return []  # without torch
    from backends.scorers.image_text import ImageTextCosine
    from backends.scorers.learnt import AlignScore, Bleurt
    from backends.scorers.text import PACKAGED, BertScore, Encoder, SentenceCosine, packaged_sentence_model

    scorers: list[TextScorer] = []
    if folders.sentence_model == PACKAGED:
        scorers.append(SentenceCosine(packaged_sentence_model(), "all-MiniLM-L6-v2"))
    elif folders.sentence_model is not None:
        scorers.append(SentenceCosine(Path(folders.sentence_model)))
    if folders.bertscore is not None:
        encoder = Encoder(folders.bertscore)
        scorers.append(BertScore(encoder, folders.bertscore.name))
        scorers.append(BertScore(encoder, folders.bertscore.name, "recall", use_idf=True))
    if folders.bleurt is not None:
        scorers.append(Bleurt(folders.bleurt))
    if folders.alignscore is not None:
        scorers.append(AlignScore(folders.alignscore))
    if folders.image_text is not None:
        if folders.images is None:
            raise InputError("--image-text needs --images, the folder of the images that the answers name")
        scorers.append(ImageTextCosine(folders.image_text, folders.images))
    return scorers


def _frames(workspace: Path) -> list[Frame]:
    """The frames of a workspace; none where there is no workspace, for answers need none."""
    settings = read_settings()
    if not settings.database_url and not (workspace / "annotator.db").is_file():
        return []
    with opened(workspace, settings) as store:
        return list(store.frames())


def splits_of(images: Iterable[str], frames: Iterable[Frame]) -> dict[str, str]:
    """The split of each image that is a known frame: by its id, its source file, or a file name that is unique."""
    known: dict[str, set[str]] = defaultdict(set)
    for frame in frames:
        for name in {frame.frame_id, frame.source_file, PurePath(frame.source_file).name}:
            known[name].add(frame.split or "")
    found = {}
    for image in images:
        splits = known.get(image) or known.get(PurePath(image).name) or known.get(PurePath(image).stem) or set()
        if len(splits) == 1 and (split := next(iter(splits))):
            found[image] = split
    return found


def _only(file: "AnswerFile", split: str | None, splits: Mapping[str, str]) -> "AnswerFile":
    """The answers on frames of one split; InputError where there is none."""
    if split is None:
        return file
    kept = tuple(one for one in file.answers if (one.split or splits.get(one.image)) == split)
    if not kept:
        raise InputError(f"{file.name}: no answer is on a frame of split {split}")
    return replace(file, answers=kept)
