"""The report of a reader study: one page that needs nothing else, and its data, codebook and figures beside it."""

from review.report.writing import Report, write_report

__all__ = ["Report", "write_report"]
