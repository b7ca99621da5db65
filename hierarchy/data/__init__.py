"""Faces with labels: read from any layout, drawn, audited, balanced."""
