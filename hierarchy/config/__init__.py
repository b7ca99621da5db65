"""Recipes: the schema of every hyper-parameter, named recipes and overrides."""
