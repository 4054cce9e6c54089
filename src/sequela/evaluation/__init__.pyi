from .edit_quality.answer_matching import starts_with_answer as starts_with_answer
from .edit_quality.plugin_metrics import ProbeMetric as ProbeMetric
from .suite import Suite as Suite
from .suite_description import SuiteDescription as SuiteDescription
from .suite_entry import LimitedOptions as LimitedOptions
from .suite_entry import SuiteEntry as SuiteEntry
from .suite_entry import SuiteOptions as SuiteOptions
