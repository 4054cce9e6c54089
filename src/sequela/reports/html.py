"""The report: one HTML file that needs nothing else, and no network."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import altair as alt
import jinja2
import vl_convert
from markupsafe import Markup

from sequela.core.paths import replacing
from sequela.reports.formatting import format_bytes
from sequela.reports.report_data import ReportData, read_report_data
from sequela.results import protocol_info

REPORT_NAME = "index.html"


def write_report(run_folder: Path, output_folder: Path) -> Path:
    """Writes `index.html` about a run into a folder, from its results alone.

    Args:
        run_folder: The run, complete or not; an incomplete one is shown as such.
        output_folder: Where to put the page.

    Returns:
        The page.

    Raises:
        SequelaError: The folder has no run, or results that can't be read.
    """
    page = render(read_report_data(run_folder))
    path = output_folder / REPORT_NAME
    with replacing(path) as temporary:
        temporary.write_text(page, encoding="utf-8", errors="replace")
        temporary.chmod(0o644)  # temporary files are private; a page is for others too
    return path


def render(report: ReportData) -> str:
    """The page as text. All text of models and data is escaped, in the page and inside chart data."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("sequela.reports"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "bytes": format_bytes,
        "pretty": _pretty_json,
        "metric": lambda item: report.manifest.suites.metric(item.suite, item.metric).label,
        "protocol": lambda item: protocol_info(item.protocol).label,
    }
    environment.policies["json.dumps_kwargs"] = {"allow_nan": False}  # JavaScript would refuse the page
    libraries = _inline_script(_vega_libraries())
    drawing = _inline_script(environment.get_template("report.js").render())
    template = environment.get_template("report.html.j2")
    return template.render(
        report=report,
        charts=_ChartList(),
        libraries=libraries,
        drawing=drawing,
        script_hashes=[_csp_hash(libraries), _csp_hash(drawing)],
    )


class _ChartList:
    """Numbers the charts as the template meets them, and gives all their data at the end."""

    def __init__(self) -> None:
        self._charts: list[dict[str, Any]] = []

    def add(self, chart: dict[str, Any]) -> int:
        self._charts.append(chart)
        return len(self._charts) - 1

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self._charts)


def _vega_libraries() -> str:
    """Vega, Vega-Lite and vega-embed as one script, of the version that our Altair writes for."""
    major_and_minor = ".".join(alt.SCHEMA_VERSION.removeprefix("v").split(".")[:2])
    bundle: str = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;", vl_version=major_and_minor)
    return f"{{\n{bundle}\n}}\n"  # a block, so that the libraries' own names stay in it


def _inline_script(source: str) -> Markup:
    """A script that can stand in a page: nothing in it ends its element early."""
    guarded = re.sub(r"<(/script|!--)", r"<\\\1", source, flags=re.IGNORECASE)
    return Markup(guarded)


def _pretty_json(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False, default=str)


def _csp_hash(script: str) -> str:
    digest = hashlib.sha256(script.encode("utf-8")).digest()
    return f"sha256-{base64.b64encode(digest).decode('ascii')}"
