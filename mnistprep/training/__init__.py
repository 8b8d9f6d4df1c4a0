"""The reference trainer: a recipe, arrays and a seed in; a trained model and its figures out."""

from mnistprep.training.batches import TensorLoader
from mnistprep.training.recipes import RECIPES, Recipe
from mnistprep.training.trainer import Epoch, Trained, accuracy, fit, predict

__all__ = [
    "RECIPES",
    "Epoch",
    "Recipe",
    "TensorLoader",
    "Trained",
    "accuracy",
    "fit",
    "predict",
]
