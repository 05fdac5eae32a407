from __future__ import annotations

import pytest

from jeans_udf.errors import ConfigError
from jeans_udf.vocabulary import Vocabulary, load_vocabulary, parse_vocabulary


def _values() -> dict:
    return {
        "categories": ["jeans", "shorts"],
        "groups": {
            "wash": {"exclusive": True, "labels": ["light", "dark"], "applies_to": ["jeans"]},
            "details": {"exclusive": False, "labels": ["cuffed", "cargo", "faded"]},
        },
    }


def test_labels_stand_in_the_order_of_the_file() -> None:
    vocabulary = parse_vocabulary(_values(), "test")
    assert vocabulary.labels == ("light", "dark", "cuffed", "cargo", "faded")
    assert vocabulary.spans() == {"wash": slice(0, 2), "details": slice(2, 5)}


def test_a_group_applies_to_all_categories_unless_told() -> None:
    vocabulary = parse_vocabulary(_values(), "test")
    assert vocabulary.group("wash").applies_to == {"jeans"}
    assert vocabulary.group("details").applies_to == {"jeans", "shorts"}


def test_as_dict_is_read_back_the_same() -> None:
    vocabulary = parse_vocabulary(_values(), "test")
    assert parse_vocabulary(vocabulary.as_dict(), "again") == vocabulary


def test_the_shipped_vocabulary_is_the_designs() -> None:
    vocabulary = load_vocabulary("conf/vocabulary.yaml")
    assert isinstance(vocabulary, Vocabulary)
    assert vocabulary.categories == ("jeans", "denim_shorts", "trousers", "shorts", "leggings")
    assert [group.name for group in vocabulary.groups] == ["wash", "fit", "length", "details"]
    assert vocabulary.group("wash").applies_to == {"jeans", "denim_shorts"}
    assert "shorts" not in vocabulary.group("fit").applies_to


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda v: v.update(colour=1), "unknown key 'colour'"),
        (lambda v: v["groups"]["wash"].update(lables=["x"]), "did you mean 'labels'"),
        (lambda v: v["groups"]["wash"].update(applies_to=["jean"]), "did you mean 'jeans'"),
        (lambda v: v["groups"]["wash"].update(exclusive="yes"), "wanted true or false"),
        (lambda v: v["groups"]["wash"].update(labels=[]), "wanted a list of names"),
        (lambda v: v["groups"]["wash"].update(labels=["a", "a"]), "twice"),
        (lambda v: v["groups"]["wash"].update(labels=["a;drop"]), "wanted a name"),
        (lambda v: v["groups"]["details"].update(labels=["dark"]), "in groups 'wash' and"),
        (lambda v: v["groups"].update(score=v["groups"]["wash"]), "no column of garments"),
        (lambda v: v.update(groups={}), "at least one group"),
    ],
)
def test_a_wrong_vocabulary_is_named(change, message: str) -> None:
    values = _values()
    change(values)
    with pytest.raises(ConfigError, match=message) as caught:
        parse_vocabulary(values, "file.yaml")
    assert "file.yaml" in str(caught.value)


def test_a_missing_file_is_named(tmp_path) -> None:
    with pytest.raises(ConfigError, match="nowhere.yaml"):
        load_vocabulary(tmp_path / "nowhere.yaml")
