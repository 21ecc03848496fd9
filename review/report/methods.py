"""The methods paragraph, written from what was really done, and what a reader should keep in mind."""

from typing import Any

from review.report.wording import counted, joined

Document = dict[str, Any]


def methods_paragraphs(document: Document) -> list[str]:
    """Paragraphs for the methods section of a paper."""
    data, unit = document["data"], document["data"]["unit"]
    readers = len(data["readers"])
    paragraphs = [_design(document, readers), _estimates(document, unit, readers), _tests(document, unit)]
    if document["between_readers"]["cells"] or document["within_readers"]["cells"]:
        paragraphs.append(_agreement(unit))
    paragraphs.append(_software(document))
    return paragraphs


def _design(document: Document, readers: int) -> str:
    data = document["data"]
    subjects = f" of {counted(data['units'], 'subject')}" if data["unit"] == "subject" else ""
    return (
        f"{counted(readers, 'reader')} graded {counted(data['cases'], 'frame')}{subjects} in "
        f"{joined(data['modes'])} mode, "
        f"{counted(len(data['versions']), 'model version')}, for {joined(data['dimensions'])}. A grade is 1 "
        "(acceptable), 2 (minor issues) or 3 (major errors); lower is better. 'Not gradable' is counted and enters "
        "no mean. Hidden repeats serve the agreement within readers alone; everything else uses the first grade. "
        "The overall mean of a version is the mean of the means of its dimensions."
    )


def _estimates(document: Document, unit: str, readers: int) -> str:
    text = (
        f"Intervals are 95% intervals. Means and differences: bias-corrected and accelerated (BCa) bootstrap, "
        f"{document['resamples']:,} resamples, in which a {unit} is drawn with all its grades. Shares: Wilson, on "
        f"the effective number of grades (n over the design effect) where a {unit} has several; the intervals of "
        "the shares of 1, 2 and 3 together are Goodman's. They hold for the readers who took part."
    )
    if readers >= 3:
        text += (
            " With three or more readers a second interval of the mean, for other readers too, takes readers and "
            "subjects as drawn at random (crossed random effects; t intervals of both combined by MOVER)."
        )
    return text


def _tests(document: Document, unit: str) -> str:
    if not document["versions"]["pairs"] and not document["modes"]["pairs"]:
        return "No two versions or modes were graded on the same frames, so no test was made."
    return (
        "Versions, and modes, are compared on the same frames by the same readers: Wilcoxon's signed-rank test "
        "with Pratt's treatment of equal grades, and McNemar's test on grade 1, both as two-sided permutation "
        f"tests that exchange the labels within a {unit} (exact where one {unit} gives one pair or enumeration is "
        "possible, else 20,000 seeded permutations). Effect sizes are the mean difference, the Hodges-Lehmann "
        "shift and P(better) − P(worse). P values are adjusted by Holm's method over all pairs, dimensions and "
        "modes, separately for each test. Three or more versions are also compared together by Friedman's test on "
        "frames (grades averaged over readers) and by a proportional-odds model (ordinal GEE, working "
        f"independence, robust errors by {unit}, readers as fixed effects)."
    )


def _agreement(unit: str) -> str:
    return (
        "Agreement is raw agreement, quadratically weighted kappa of each pair of readers, Gwet's AC2 with four "
        "weightings, and Krippendorff's ordinal alpha. AC2 has its analytic standard error and a t interval, kappa "
        "the asymptotic interval of Fleiss, Cohen and Everitt, alpha and raw agreement a BCa bootstrap; where "
        f"frames of one {unit} repeat, errors and resamples go by {unit}. Kappa and alpha fall when nearly all "
        "grades are alike and AC2 does not, so prevalence and raw agreement are given. No verbal scale is applied."
    )


def _software(document: Document) -> str:
    software = ", ".join(f"{name} {version}" for name, version in document["software"].items())
    return f"Random numbers: NumPy PCG64, seed {document['seed']}. Software: {software}."


def reading_notes(document: Document) -> list[str]:
    """What limits these data, in plain words."""
    data = document["data"]
    notes = list(document["notes"])
    readers = len(data["readers"])
    if readers == 1:
        notes.append(
            "One reader graded: no agreement between readers can be computed, and the results are that reader's."
        )
    elif readers < 3 or data["cases"] < 200:
        notes.append("The study is smaller than 3 readers and 200 frames: agreement is known with wide intervals.")
    if not data["repeats"]:
        notes.append("There are no hidden repeats: how steady each reader grades is not known.")
    if len(data["versions"]) == 1:
        notes.append("There is one model version: nothing is compared with it.")
    if data["unit"] == "case":
        notes.append(
            "Subjects are not named: frames are taken as independent, which several frames of one subject are not."
        )
    absent = [name for name in ("plane", "site", "scanner") if name not in data["factors"]]
    if absent:
        notes.append(f"Not stated in the data: {joined(absent)}.")
    if data["not_gradable"]:
        share = 100 * data["not_gradable"] / data["grades"]
        notes.append(
            f"{counted(data['not_gradable'], 'grade')} ({share:.1f} %) are 'not gradable' and enter no mean."
        )
    notes.append("Results by plane, site, scanner and reader are descriptive and not adjusted for their number.")
    return notes
