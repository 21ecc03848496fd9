"""Understands what a model said, whichever engine it came from; nothing is lost silently.

Text passes once from `window` (where the answer begins and ends) over `json_repair` (a tolerant scanner that knows
every value's place) to records; every repair and every loss is a ParseIssue of `issues`.
"""

from backends.parsing.answers import Parsed, parse_answer, parse_findings, parse_view
from backends.parsing.interpretations import parse_interpretation

__all__ = ["Parsed", "parse_answer", "parse_findings", "parse_interpretation", "parse_view"]
