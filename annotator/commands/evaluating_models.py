"""`evaluate` of models: what they are compared with, and several stored runs side by side as FADA's table."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from annotator.cli import Result
from annotator.commands.workspace import opened
from annotator.errors import InputError
from annotator.schema import Correction, Frame, Prediction
from annotator.store import Store

if TYPE_CHECKING:
    from exports.metrics.cases import Case


def compare_models(workspace: Path, versions: Sequence[str], against: str, split: str | None) -> Result:
    """FADA's table of stored predictions; no model is asked.

    `versions` are names of model versions, or NAME=VERSION for the name that the row shall have. InputError where a
    version is not known or has predicted none of the frames.
    """
    from exports.fada_table import fada_table
    from exports.fada_table_text import as_markdown, as_text

    named = _named(versions)
    with opened(workspace) as store:
        frames, truths = references(store, against, split)
        known = [model.name for model in store.model_versions()]
        runs = {
            name: cases_of(frames, truths, store.newest_predictions(_resolved(version, known)))
            for name, version in named.items()
        }
    for name, cases in runs.items():
        if all(case.prediction is None for case in cases):
            raise InputError(
                f"{named[name]} has predicted none of the {len(cases)} frames with a reference; "
                "run `preannotate` with it first"
            )
    document = fada_table(runs)
    resolved = {name: _resolved(version, known) for name, version in named.items()}
    return Result(
        {"against": against, "split": split, "models": resolved, **document, "markdown": as_markdown(document)},
        as_text(document),
    )


def references(store: Store, against: str, split: str | None) -> tuple[dict[str, Frame], list[Correction]]:
    """The frames of a split, and the newest reference of each; InputError where there is none."""
    frames = {frame.frame_id: frame for frame in store.frames(split)}
    truths = [truth for truth in store.newest_corrections(is_truth=against == "truth") if truth.frame_id in frames]
    if not truths:
        raise InputError(
            f"no frame{f' of split {split}' if split else ''} has a {against} annotation to compare with"
        )
    return frames, truths


def cases_of(
    frames: Mapping[str, Frame], truths: Sequence[Correction], predictions: Iterable[Prediction]
) -> "list[Case]":
    """One case a reference, with the prediction of its frame where there is one."""
    from exports.metrics.cases import Case

    said = {item.frame_id: item for item in predictions}
    return [Case(frames[truth.frame_id], truth, said.get(truth.frame_id)) for truth in truths]


def _named(versions: Sequence[str]) -> dict[str, str]:
    """NAME=VERSION as a mapping; a version without a name is called by itself."""
    named: dict[str, str] = {}
    for given in versions:
        name, _, version = given.rpartition("=")
        name = name or version
        if name in named:
            raise InputError(f"two runs are called {name!r}; name each as NAME=VERSION")
        named[name] = version
    return named


def _resolved(version: str, known: Sequence[str]) -> str:
    """The full name of a version that is given in full, or by a beginning that only one has."""
    matching = [version] if version in known else [name for name in known if name.startswith(version)]
    if len(matching) != 1:
        what = "several model versions begin with" if matching else "no model version is called"
        raise InputError(f"{what} {version!r}; the workspace has {', '.join(matching or known) or 'none'}")
    return matching[0]
