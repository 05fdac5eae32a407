"""A bundle with the detector of another one and a classifier of one's own, not measured anew."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jeans_udf.bundle import MANIFEST, Bundle, open_bundle, write_manifest
from jeans_udf.errors import BundleError, ConfigError
from jeans_udf.strict_json import write_json
from jeans_udf.training.assemble import TrainedClassifier
from jeans_udf.vocabulary import Vocabulary


def exchange_classifier(
    base: Bundle,
    classifier: TrainedClassifier,
    vocabulary: Vocabulary,
    output: Path,
    source: dict[str, Any],
) -> Bundle:
    """Write the bundle ``output``: ``base``'s detector with its thresholds, and ``classifier``.

    ``source`` joins the manifest's list of training data. No figures are written: those of ``base``
    are of both its models together. Raises `ConfigError` or `BundleError` when it cannot be.
    """
    check_exchange(base, vocabulary, output)
    fresh = output.with_name(output.name + ".new")
    shutil.rmtree(fresh, ignore_errors=True)
    try:
        for name in base.manifest.detector.file_names:
            (fresh / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(base.path(name), fresh / name)
        shutil.copyfile(classifier.weights, fresh / "classifier.safetensors")
        write_json(fresh / "metrics.json", {"classifier": classifier.metrics})
        write_manifest(
            fresh,
            {
                "name": output.name,
                "version": "1",
                "created": datetime.now(UTC).date().isoformat(),
                "vocabulary": vocabulary.as_dict(),
                "detector": base.manifest.detector.model_dump(),
                "classifier": {"weights": "classifier.safetensors", **classifier.spec},
                "training_data": [*base.manifest.training_data, source],
                "metrics": {},
            },
        )
        shutil.rmtree(output, ignore_errors=True)
        fresh.rename(output)
    except OSError as error:
        raise BundleError(f"bundle {output}: cannot be written: {error}") from None
    return open_bundle(f"{output}/")


def check_exchange(base: Bundle, vocabulary: Vocabulary, output: Path) -> None:
    """Raise when ``base``'s detector knows other categories, or ``output`` is no bundle."""
    if base.vocabulary.categories != vocabulary.categories:
        raise ConfigError(
            f"bundle {base.directory}: its detector knows {', '.join(base.vocabulary.categories)}; "
            f"the vocabulary has {', '.join(vocabulary.categories)}: they have to be the same"
        )
    if output.exists() and not (output / MANIFEST).is_file():
        raise BundleError(f"bundle {output}: exists and is no bundle; name a fresh folder")
