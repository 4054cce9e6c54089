from .delta import Delta as Delta
from .edited_model import EditedModel as EditedModel
from .updates import Dense as Dense
from .updates import LowRank as LowRank
from .updates import WeightUpdate as WeightUpdate
