"""The settings and records of the built-in regularizers."""

from __future__ import annotations

from pydantic import Field

from sequela.editors.catalog_entry import RegularizerInfo, RegularizerSettings


class NormSettings(RegularizerSettings):
    """The norm constraint's settings."""

    weight: float = Field(default=10.0, gt=0, description="The weight of ||Delta||² in the solve.")


class PruneSettings(RegularizerSettings):
    """PRUNE's settings."""

    alpha: float = Field(default=1.2, gt=1, description="The base of the logarithm.")


class RectSettings(RegularizerSettings):
    """RECT's settings."""

    keep: float = Field(default=0.4, gt=0, le=1, description="The share of entries that stay changed.")


NAS = RegularizerInfo(
    name="nas",
    summary="Scales target values to the unedited model's norm (norm-anchored scaling, 2026).",
    paper="arXiv 2602.02543",
    implementation="sequela.editors.regularizers.nas:NormAnchoredScaling",
    works_through="anchored",
    misfit="scales target values, and {} has none",
    suited="rome, memit, pmet, emmet or alphaedit",
)

NORM = RegularizerInfo(
    name="norm",
    summary="Adds the squared norm of the change to the solve's objective (ENCORE, Gupta et al. 2025).",
    paper="Gupta et al. 2025, arXiv 2502.01636",
    implementation="sequela.editors.regularizers.norm:NormConstraint",
    settings=NormSettings,
    works_through="norm_weight",
    misfit="needs a solve with the key covariance C, and {} has none",
    suited="memit or pmet",
)

PRUNE = RegularizerInfo(
    name="prune",
    summary="Limits the singular values of the total change (Ma et al. 2025).",
    paper="Ma et al. 2025, arXiv 2405.16821",
    implementation="sequela.editors.regularizers.prune:Prune",
    settings=PruneSettings,
)

RECT = RegularizerInfo(
    name="rect",
    summary="Keeps only the entries with the greatest relative change (Gu et al. 2024).",
    paper="Gu et al. 2024, arXiv 2401.04700",
    implementation="sequela.editors.regularizers.rect:Rect",
    settings=RectSettings,
)
