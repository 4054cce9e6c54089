from .collapse import PERPLEXITY_FACTOR as PERPLEXITY_FACTOR
from .collapse import Collapse as Collapse
from .collapse import Collapses as Collapses
from .forgetting import ForgottenEdits as ForgottenEdits
from .forgetting import mostly_forgotten as mostly_forgotten
from .validity import CheckedMeasurement as CheckedMeasurement
from .validity import Flag as Flag
from .validity import check_validity as check_validity
