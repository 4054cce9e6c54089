"""A profile as a chart: kinds of tokens in rows, layers in columns, darker for a larger gain."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Literal

import altair as alt

from sequela.core.errors import BadInputError
from sequela.core.paths import replacing
from sequela.tracing.profile import PLACES, Profile

FORMATS: dict[str, Literal["html", "svg", "png"]] = {".html": "html", ".svg": "svg", ".png": "png"}
"""The formats by file name extension."""


def heat_map(profile: Profile, title: str) -> alt.Chart:
    """Returns the chart of a profile."""
    rows = [
        {"place": place, "layer": layer, "gain": gain}
        for place, gains in zip(PLACES, profile.restored.tolist(), strict=True)
        for layer, gain in enumerate(gains)
        if math.isfinite(gain)
    ]
    subtitle = (
        f"{profile.n} prompts; the answer's probability is {profile.clean:.2f}, and {profile.corrupted:.2f} "
        "with the subject corrupted"
    )
    chart: alt.Chart = (
        alt.Chart(alt.InlineData(rows), title=alt.Title(title, subtitle=subtitle, anchor="start"))
        .mark_rect()
        .encode(
            x=alt.X("layer:O", title="restored layer", axis=alt.Axis(labelAngle=0, labelOverlap=True)),
            y=alt.Y("place:N", sort=list(PLACES), title=None, axis=alt.Axis(labelLimit=240)),
            color=alt.Color(
                "gain:Q",
                title="gain in probability",
                scale=alt.Scale(scheme="purples", domainMin=0, clamp=True),
            ),
            tooltip=["place:N", "layer:O", alt.Tooltip("gain:Q", format=".3f")],
        )
        .properties(width=alt.Step(18), height=alt.Step(28))
    )
    return chart


def check_format(path: Path) -> None:
    """Checks that the extension of a file is that of a format.

    Raises:
        BadInputError: The extension is not in `FORMATS`.
    """
    if path.suffix not in FORMATS:
        raise BadInputError(f"Unknown format of {path}.", hint=f"Use the extension {', '.join(FORMATS)}.")


def write_heat_map(profile: Profile, title: str, path: Path) -> None:
    """Writes the chart; an HTML page needs no network."""
    check_format(path)
    form = FORMATS[path.suffix]
    with replacing(path) as temporary:
        heat_map(profile, title).save(str(temporary), format=form, inline=True, scale_factor=2)
        temporary.chmod(0o644)
