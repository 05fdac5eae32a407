"""The models: numpy and torch in, numpy out; no Spark."""
