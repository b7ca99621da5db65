"""Faces with labels: read from any format, drawn, audited, balanced."""
