"""Scores, printed and drawn: what a run leaves for people to read."""
