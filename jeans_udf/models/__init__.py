"""The models: numpy and torch in, numpy out; no Spark."""

from __future__ import annotations

import warnings

# Detectron2 scripts functions as it is imported; every worker would print torch's advice about it.
warnings.filterwarnings("ignore", r".torch\.jit\.script. is deprecated", FutureWarning)
