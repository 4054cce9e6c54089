from .estimate import Estimate as Estimate
from .estimate import estimate_study as estimate_study
