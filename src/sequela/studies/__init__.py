"""Studies: the planning, execution, storage and later analysis of experiments."""

from typing import TYPE_CHECKING

from sequela.core.lazy import lazy_names

if TYPE_CHECKING:
    from sequela.studies.run import RunResult, run_study
    from sequela.studies.study import EditorChoice, Study, SuiteChoice
    from sequela.studies.study_file import read_study, study_from_text

__all__ = ["EditorChoice", "RunResult", "Study", "SuiteChoice", "read_study", "run_study", "study_from_text"]

if not TYPE_CHECKING:  # a `__getattr__` would make type checkers accept any name
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            "sequela.studies.run": (
                "RunResult",
                "run_study",
            ),
            "sequela.studies.study": (
                "EditorChoice",
                "Study",
                "SuiteChoice",
            ),
            "sequela.studies.study_file": (
                "read_study",
                "study_from_text",
            ),
        },
    )
