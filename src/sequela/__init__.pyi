from .api import Model as Model
from .api import load_model as load_model
from .core.errors import SequelaError as SequelaError
from .editors import create_editor as create_editor
from .edits import Edit as Edit
from .edits import EditSet as EditSet
from .edits import Probe as Probe
from .edits import load_edits as load_edits

__version__: str
