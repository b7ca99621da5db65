"""Readers and writers of data set formats, one module per format."""
