"""Batch prediction over large image collections, on local processes or a Ray cluster."""
