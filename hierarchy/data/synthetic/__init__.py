"""Drawn faces for tests and demonstrations."""
