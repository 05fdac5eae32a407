"""Label files of garment pictures: read, checked, parted and counted; knows no Spark, no torch."""

from __future__ import annotations
