"""Scores of runs, computed from stored predictions, and their statistics."""
