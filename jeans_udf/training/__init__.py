"""Training of the detector and the classifier; no Spark."""
