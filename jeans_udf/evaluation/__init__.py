"""Metrics of detectors and classifiers; no Spark."""
