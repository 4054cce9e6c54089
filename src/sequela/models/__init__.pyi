from .families import LLAMA as LLAMA
from .family import Family as Family
from .language_model import LanguageModel as LanguageModel
from .loading import load_model as load_model
from .pypi_models import ModelDescription as ModelDescription
from .pypi_models import describe_models as describe_models
from .spans import TokenizedPrompt as TokenizedPrompt
from .spans import tokenize_prompt as tokenize_prompt
