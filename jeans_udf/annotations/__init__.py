"""Own annotations (COCO, LabelMe, VGG VIA) checked and turned into one COCO dataset; no Spark."""

from __future__ import annotations
