"""Configuration: the shipped file, overrides, and errors that name the near miss."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from jeans_udf.config import Section, TaggingConfig, load_config
from jeans_udf.errors import ConfigError

SHIPPED = Path(__file__).resolve().parents[1] / "conf" / "tagging.yaml"


def test_the_shipped_file_is_the_defaults_in_full() -> None:
    assert load_config(SHIPPED) == TaggingConfig()
    written = yaml.safe_load(SHIPPED.read_text(encoding="utf-8"))
    assert written == TaggingConfig().model_dump(mode="json")


def test_every_key_of_the_shipped_file_has_a_comment() -> None:
    lines = SHIPPED.read_text(encoding="utf-8").splitlines()
    keys = [number for number, line in enumerate(lines) if line.strip() and "#" not in line]
    assert len(keys) > 20
    assert [lines[n] for n in keys if not lines[n - 1].strip().startswith("#")] == []


def test_every_key_is_explained_in_the_code() -> None:
    def explain(section: type[Section]) -> None:
        for name, field in section.model_fields.items():
            if isinstance(field.annotation, type) and issubclass(field.annotation, Section):
                explain(field.annotation)
            else:
                assert field.description, f"{section.__name__}.{name}"

    explain(TaggingConfig)


def test_set_is_stronger_than_the_file(tmp_path: Path) -> None:
    file = tmp_path / "tagging.yaml"
    file.write_text("batch: {max_files: 8, max_bytes: 2m}\n")
    config = load_config(file, ["batch.max_files=16", "images.roots=[/data]", "bundle=./mine"])
    assert (config.batch.max_files, config.batch.max_bytes) == (16, "2m")
    assert (config.images.roots, config.bundle) == (("/data",), "./mine")
    assert config.digest() != TaggingConfig().digest()


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("batch.max_file=3", "unknown key 'batch.max_file'; did you mean 'max_files'"),
        ("bach.max_files=3", "unknown key 'bach'; did you mean 'batch'"),
        ("batch.max_files=none", "batch.max_files: got \"none\", wanted"),
        ("batch.max_files=0", "batch.max_files: got 0, wanted.*greater than 0"),
        ("batch.max_bytes=1 GB", "batch.max_bytes: got \"1 GB\""),
        ("max_rejected_fraction=1.5", "max_rejected_fraction: got 1.5"),
        ("device.kind=gpu", "device.kind: got \"gpu\", wanted.*'auto', 'cpu' or 'cuda'"),
        ("batch=3", "batch: got 3"),
        ("bundle.name=3", "bundle: got"),
        ("max_files", "wanted key=value"),
    ],
)
def test_bad_values_name_the_key(override: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_config(None, [override])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("batch: [", "not valid YAML"),
        ("- a\n- b\n", "got a list, wanted key: value pairs"),
        ("images:\n  max_pixel: 5\n", "tagging.yaml: unknown key 'images.max_pixel'; did you mean"),
        ("a: !!python/object/apply:os.system ['true']\n", "not valid YAML"),
    ],
)
def test_bad_files_are_named(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "tagging.yaml").write_text(text)
    with pytest.raises(ConfigError, match=message):
        load_config(tmp_path / "tagging.yaml")


def test_missing_and_binary_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="absent.yaml: cannot be read"):
        load_config(tmp_path / "absent.yaml")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="not UTF-8 text"):
        load_config(tmp_path / "binary.yaml")
    assert load_config() == TaggingConfig()
