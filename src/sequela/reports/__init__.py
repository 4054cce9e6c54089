"""Reports on runs: tables, charts, HTML and Markdown pages. Only stored results are read; no model runs."""

from sequela.reports.footnotes import footnotes
from sequela.reports.html import write_report
from sequela.reports.markdown import markdown_page
from sequela.reports.summary import Summary, SummaryCell, SummaryColumn, SummaryRow, summarize
from sequela.reports.warnings import dropped_warnings, run_warnings

__all__ = [
    "Summary",
    "SummaryCell",
    "SummaryColumn",
    "SummaryRow",
    "dropped_warnings",
    "footnotes",
    "markdown_page",
    "run_warnings",
    "summarize",
    "write_report",
]
