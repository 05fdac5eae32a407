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
        (lambda v: v["groups"].update(crop=v["groups"]["wash"]), "no column of garments or its"),
        (lambda v: v["groups"].update(all=v["groups"]["wash"]), "no column of garments"),
        (lambda v: v["groups"].update(title=v["groups"]["wash"]), "group 'title': wanted a name"),
        (lambda v: v["groups"].update(description=v["groups"]["wash"]), "no column of garments"),
        (lambda v: v.update(groups={}), "at least one group"),
        (lambda v: v["groups"]["wash"].update(labels=[True]), "got True .of on, off.*in quotes"),
        (lambda v: v["groups"]["wash"].update(labels=[None]), "got None, wanted a name"),
        (lambda v: v["groups"]["wash"].update(labels=[5.5]), "got 5.5, wanted a name"),
        (lambda v: v["groups"]["wash"].update(labels=[-5]), "got '-5', wanted a name of"),
        (lambda v: v["groups"]["wash"].update(labels=[[["x"]] * 9]), "got a list of 9"),
        (lambda v: v["groups"]["wash"].update(labels=[541, "541"]), "twice"),
        (lambda v: v["groups"]["details"].update(labels=["wash"]), "name of an exclusive group"),
        (lambda v: v["groups"]["wash"].update(labels=["wash"]), "name of an exclusive group"),
        (lambda v: v["groups"].update(wash_score=v["groups"].pop("details")), "another group's sc"),
        (lambda v: v["categories"].append("none"), "'none' is what the classifier says"),
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


def _written(folder, labels: str):
    path = folder / "own.yaml"
    groups = f"groups: {{number: {{exclusive: true, labels: [{labels}]}}}}"
    path.write_text(f"categories: [jeans]\n{groups}\n")
    return path


def test_numbers_are_labels_without_quotes(tmp_path) -> None:
    vocabulary = load_vocabulary(_written(tmp_path, "501, '0541', 569, 0, 5xx"))
    assert vocabulary.labels == ("501", "0541", "569", "0", "5xx")
    assert parse_vocabulary(vocabulary.as_dict(), "again") == vocabulary


@pytest.mark.parametrize(
    ("label", "message"),
    [
        ("0501", "got 0501; write it in quotes"),  # octal: 321
        ("1_2", "got 1_2; write it in quotes"),  # 12
        ("5:30", "got 5:30; write it in quotes"),  # by sixty: 330
        ("0x1f", "got 0x1f; write it in quotes"),
        ("9" * 5000, "got 9999"),
        ("on", "got True .of on, off, yes"),
        ("no", "got False .of on, off, yes"),
        ("~", "got None, wanted a name"),
        ("2020-13-01", "not valid YAML"),
        ("!!python/name:os.system x", "not valid YAML"),
        ("[" * 1200, "nested too deep|not valid YAML"),
    ],
)
def test_what_yaml_does_not_keep_as_written_is_refused(tmp_path, label: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        load_vocabulary(_written(tmp_path, f"500, {label}"))
    assert "own.yaml" in str(caught.value)


def test_a_quoted_word_of_yaml_is_a_label(tmp_path) -> None:
    assert load_vocabulary(_written(tmp_path, "'on', 'no', \"501\"")).labels == ("on", "no", "501")
