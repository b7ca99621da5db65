"""Applications on top of the classifier: web page and batch prediction."""
