"""Applications on top of the classifier: web page, REST service and batch prediction."""
