"""The experiment: what is edited how, measured when, and kept where."""

from sequela.studies.run import RunResult, run_study
from sequela.studies.study import EditorChoice, Study, SuiteChoice
from sequela.studies.study_file import read_study, study_from_text

__all__ = ["EditorChoice", "RunResult", "Study", "SuiteChoice", "read_study", "run_study", "study_from_text"]
