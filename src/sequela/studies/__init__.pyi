from .run import RunResult as RunResult
from .run import run_study as run_study
from .study import EditorChoice as EditorChoice
from .study import Study as Study
from .study import SuiteChoice as SuiteChoice
from .study_file import read_study as read_study
from .study_file import study_from_text as study_from_text
