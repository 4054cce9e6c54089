"""What a person reads: tables, charts and the HTML page. Reads results only, never runs a model."""

from sequela.reports.html import write_report
from sequela.reports.markdown import markdown_page
from sequela.reports.remarks import remarks
from sequela.reports.summary import Summary, SummaryCell, SummaryColumn, SummaryRow, summarize

__all__ = [
    "Summary",
    "SummaryCell",
    "SummaryColumn",
    "SummaryRow",
    "markdown_page",
    "remarks",
    "summarize",
    "write_report",
]
