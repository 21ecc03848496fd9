"""Commands that measure: a model against a reference, versions side by side, answers from anywhere, suites."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from annotator.cli.root import SPLIT, Result, asks_a_model, cli, printing

FOLDER = click.Path(path_type=Path)
METRIC_OPTIONS = (
    click.option(
        "--sentence-model", metavar="FOLDER", help="For answers: a sentence model, or `packaged` for ours."
    ),
    click.option("--bertscore", type=FOLDER, help="For answers: folder of BERTScore's encoder."),
    click.option("--bleurt", type=FOLDER, help="For answers: folder of a BLEURT checkpoint."),
    click.option("--alignscore", type=FOLDER, help="For answers: folder of AlignScore's checkpoint."),
    click.option("--image-text", type=FOLDER, help="For answers: folder of a CLIP-like model; needs --images."),
    click.option("--images", type=FOLDER, help="Folder of the images that the answers name."),
)


def _scoring_texts(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(METRIC_OPTIONS):
        command = option(command)
    return command


def _several_answers(command: Callable[..., Any]) -> Callable[..., Any]:
    """Let `--answers` be given twice; `asks_a_model` has put it there for one file to replay."""
    several = click.Option(
        ["--answers"],
        multiple=True,
        type=click.Path(path_type=Path),
        help="Without --backend: score this file of written answers (JSON lines: image, field or question, answer, "
        "expected); two files are compared in pairs. With --backend recorded: what it replays.",
    )
    options: list[click.Option] = command.__click_params__  # type: ignore[attr-defined]
    options[:] = [several if item.name == "answers" else item for item in options]
    return command


@cli.command()
@_several_answers
@asks_a_model
@click.option("--against", type=click.Choice(["truth", "corrected"]), default="truth", show_default=True)
@SPLIT
@click.option(
    "--compare",
    "versions",
    multiple=True,
    metavar="NAME=VERSION",
    help="Stored predictions of versions side by side, as in FADA's table; repeat it. No model is loaded.",
)
@click.option("--suite", type=click.Choice(["u2-bench", "fetal-gauge"]), help="A benchmark of the field.")
@click.option("--data", type=FOLDER, help="With --suite: the folder that you downloaded.")
@click.option("--predictions", type=FOLDER, help="With --suite: a file or folder of answers in its format.")
@_scoring_texts
@printing
def evaluate(
    workspace: Path,
    choice: dict[str, Any],
    against: str,
    split: str | None,
    versions: tuple[str, ...],
    suite: str | None,
    data: Path | None,
    predictions: Path | None,
    **metrics: Any,
) -> Result:
    """Score a model against a reference, with intervals; frames it has not seen are run first.

    With --answers and without --backend, answers from anywhere are looked over and scored: no model is asked.
    """
    if suite is not None:
        from annotator.commands.suites import evaluate_suite

        if data is None or predictions is None:
            raise click.UsageError("--suite needs --data and --predictions")
        return evaluate_suite(workspace, suite, data, predictions, bertscore=metrics["bertscore"])
    if versions:
        from annotator.commands.evaluating_models import compare_models

        return compare_models(workspace, versions, against, split)
    files = choice.pop("answers")
    is_given = click.get_current_context().get_parameter_source("backend") is not ParameterSource.DEFAULT
    if files and not is_given:
        from annotator.commands.evaluating import MetricFolders, evaluate_answers

        return evaluate_answers(workspace, files, split=split, metrics=MetricFolders(**metrics))
    from annotator.commands.models import evaluate_backend

    if len(files) > 1:
        raise click.UsageError("a backend replays one file of --answers; leave --backend out to compare two")
    return evaluate_backend(workspace, {**choice, "answers": next(iter(files), None)}, against, split)
