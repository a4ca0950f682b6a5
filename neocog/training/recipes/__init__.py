"""Recipes: whole sets of settings that train a network well, and changes to them."""

from neocog.training.recipes.changes import override
from neocog.training.recipes.choices import MODEL, choose_recipe
from neocog.training.recipes.recipe import RECIPES, Recipe, is_file, make_model

__all__ = ["MODEL", "RECIPES", "Recipe", "choose_recipe", "is_file", "make_model", "override"]
