"""The reference trainer: a recipe, arrays and a seed in; a trained model and its figures out.

Importing it does not load PyTorch; training a recipe that needs it does.
"""

from mnistprep.training.checkpoints import load_checkpoint, save_checkpoint
from mnistprep.training.recipes import RECIPES, Cadence, Recipe
from mnistprep.training.results import Epoch, Line, Trained
from mnistprep.training.trainer import Stopped, accuracy, fit, predict, probabilities

__all__ = [
    "RECIPES",
    "Cadence",
    "Epoch",
    "Line",
    "Recipe",
    "Stopped",
    "Trained",
    "accuracy",
    "fit",
    "load_checkpoint",
    "predict",
    "probabilities",
    "save_checkpoint",
]
