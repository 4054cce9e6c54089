"""The grid of a study: how many models, methods, samples, orders, checkpoints and suites it has."""

from __future__ import annotations

from dataclasses import dataclass

from sequela.studies.plan import Plan


@dataclass(frozen=True)
class Grid:
    """The size of a study.

    Args:
        models: The models.
        methods: The methods, with their batch sizes.
        n_samples: The number of samples of edits; 1 if the study has none.
        n_orders: The number of orders of the edits.
        checkpoints: The numbers of edits after which everything is measured.
        suites: The suites that are run in addition to edit quality.
        n_edits: The number of edits of each trajectory.
        n_trajectories: The number of trajectories.
        n_evaluations: The number of evaluations, with those of the unedited models.
    """

    models: tuple[str, ...]
    methods: tuple[str, ...]
    n_samples: int
    n_orders: int
    checkpoints: tuple[int, ...]
    suites: tuple[str, ...]
    n_edits: int
    n_trajectories: int
    n_evaluations: int

    @classmethod
    def of(cls, plan: Plan) -> Grid:
        """Returns the grid of a study."""
        study = plan.study
        methods = [
            choice.name if choice.batch_size == 1 else f"{choice.name} in batches of {choice.batch_size}"
            for choice in study.editors
        ]
        return cls(
            models=study.models,
            methods=tuple(methods),
            n_samples=len(study.samples),
            n_orders=len(study.order_seeds),
            checkpoints=study.checkpoints,
            suites=tuple(suite.name for suite in plan.suites),
            n_edits=study.n_edits,
            n_trajectories=len(study.models) * len(methods) * len(study.orders),
            n_evaluations=plan.n_evaluations,
        )

    @property
    def n_applied(self) -> int:
        """The number of edits that are applied, over all trajectories."""
        return self.n_trajectories * self.n_edits
