"""The HTML report: one self-contained file that needs no network access."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from functools import cache
from os import PathLike
from pathlib import Path
from typing import Any

import altair as alt
import jinja2
import vl_convert
from markupsafe import Markup

from sequela.core.arguments import check_path
from sequela.core.paths import ensure_writable, ensure_writable_file, replacing
from sequela.core.visible_text import shortened, visible
from sequela.reports.formatting import format_bytes
from sequela.reports.report_data import ReportData, read_report_data
from sequela.results import protocol_info

REPORT_NAME = "index.html"

LONGEST_TEXT = 1000
"""The number of characters of a prompt or answer that a page shows; the item files have all of them."""


def write_report(run_folder: str | PathLike[str], output_folder: str | PathLike[str]) -> Path:
    """Writes the report of a run as `index.html`, from its stored results only.

    Args:
        run_folder: The folder of the run. An incomplete run is marked as such in the report.
        output_folder: The folder for the page.

    Returns:
        The path of the page.

    Raises:
        SequelaError: The folder has no run, its results can't be read, or the page can't be written.
    """
    data = read_report_data(check_path("run_folder", run_folder))
    path = check_path("output_folder", output_folder) / REPORT_NAME
    ensure_writable(path.parent)
    ensure_writable_file(path)
    page = render(data)
    with replacing(path) as temporary:
        temporary.write_text(page, encoding="utf-8", errors="replace")
        temporary.chmod(0o644)  # temporary files are private, but the page should be readable by others
    return path


def render(report: ReportData) -> str:
    """Returns the page as text. Text from models and data is escaped, in the page and in chart data."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("sequela.reports"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_shown,
    )
    environment.filters |= {
        "bytes": format_bytes,
        "brief": lambda text: shortened(text or "", LONGEST_TEXT),
        "pretty": _pretty_json,
        "metric": lambda item: report.manifest.suites.metric(item.suite, item.metric).label,
        "protocol": lambda item: protocol_info(item.protocol).label,
    }
    environment.policies["json.dumps_kwargs"] = {"allow_nan": False}  # JavaScript can't parse NaN
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
    """Numbers the charts as the template adds them and provides all their data at the end of the page."""

    def __init__(self) -> None:
        self._charts: list[dict[str, Any]] = []

    def add(self, chart: dict[str, Any]) -> int:
        self._charts.append(_visible_texts(chart))
        return len(self._charts) - 1

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self._charts)


def _shown(value: object) -> object:
    """Returns what the page prints for a value: texts with their control characters written out."""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _visible_texts(value: Any) -> Any:
    """Returns a chart whose texts are visible; a drawing with a control character is not valid SVG."""
    if isinstance(value, str):
        return visible(value)
    if isinstance(value, dict):
        return {_visible_texts(key): _visible_texts(inner) for key, inner in value.items()}
    return [_visible_texts(inner) for inner in value] if isinstance(value, list | tuple) else value


@cache
def _vega_libraries() -> str:
    """Returns Vega, Vega-Lite and vega-embed as one script, in the versions that Altair targets."""
    major_and_minor = ".".join(alt.SCHEMA_VERSION.removeprefix("v").split(".")[:2])
    bundle: str = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;", vl_version=major_and_minor)
    return f"{{\n{bundle}\n}}\n"  # a block scope, so that the libraries define no global names


def _inline_script(source: str) -> Markup:
    """Returns a script that is safe to embed in a page: nothing in it closes the script element."""
    guarded = re.sub(r"<(/script|!--)", r"<\\\1", source, flags=re.IGNORECASE)
    return Markup(guarded)


def _pretty_json(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False, default=str)


def _csp_hash(script: str) -> str:
    digest = hashlib.sha256(script.encode("utf-8")).digest()
    return f"sha256-{base64.b64encode(digest).decode('ascii')}"
