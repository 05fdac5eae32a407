"""One row of a label file: its words sorted into category and labels, its faults logged."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jeans_udf.labels import cells
from jeans_udf.labels.faults import FaultLog
from jeans_udf.labels.labelled import Labelled
from jeans_udf.labels.layout import Layout
from jeans_udf.labels.lexicon import Lexicon
from jeans_udf.labels.table import RawRow
from jeans_udf.vocabulary import Group, Vocabulary


class RowReader:
    """Reads rows of one layout; faults go to ``log``."""

    def __init__(self, layout: Layout, vocabulary: Vocabulary, log: FaultLog) -> None:
        self.layout, self.vocabulary, self.log = layout, vocabulary, log
        self.lexicon = Lexicon(vocabulary)

    def read(self, raw: RawRow) -> Labelled | None:
        """None for a bad row. A row with another fault has what is known of it."""
        values = dict(zip(self.layout.columns, raw.values, strict=False))
        name = ""
        try:
            if raw.problem:
                raise cells.BadCell(raw.problem)
            name = cells.file_path(values["file_path"])
            identity = cells.annotation_id(values.get("annotation_id"))
            category = cells.text(values.get("category"), "category").strip()
            words = self._words(values)
        except cells.BadCell as bad:
            self.log.add("bad_row", raw.number, name, str(bad))
            return None
        return _Row(self, raw.number, name).sort(identity, category, words)

    def _words(self, values: Mapping[str, Any]) -> list[tuple[str, Group | None]]:
        """Words of the row, each with the group whose column it stands in."""
        if not self.layout.wide:
            return [(word, None) for word in cells.words(values["label"], " ", "label")]
        return [
            (word, group)
            for group in self.vocabulary.groups
            for word in cells.words(values[group.name], ";", group.name)
        ]


class _Row:
    """A row that is being read, and where to log its faults."""

    def __init__(self, reader: RowReader, number: int, name: str) -> None:
        self.lexicon, self.log = reader.lexicon, reader.log
        self.number, self.name = number, name

    def sort(
        self, identity: int | None, category: str, words: list[tuple[str, Group | None]]
    ) -> Labelled:
        known = self.lexicon.vocabulary.categories
        labels: set[str] = set()
        categories = dict.fromkeys([category] if category else [])
        for word, group in words:
            if word in (group.labels if group else self.lexicon.order):
                labels.add(word)
            elif group is None and word in known:
                # The notebooks' labels name the category among the others.
                categories[word] = None
            else:
                self._fault("unknown_label", self.lexicon.unknown_label(word, group))
        ordered = tuple(sorted(labels, key=self.lexicon.order.__getitem__))
        found = self._category(list(categories))
        self._check_rules(found, ordered)
        return Labelled(self.name, identity, found, ordered, self.number)

    def _category(self, given: list[str]) -> str | None:
        known = self.lexicon.vocabulary.categories
        for name in given:
            if name not in known:
                self._fault("unknown_category", self.lexicon.unknown_category(name))
        found = [name for name in given if name in known]
        if len(found) > 1:
            self._fault("conflicting_labels", f"the categories {found}, wanted one")
        if not given and len(known) == 1:
            return known[0]
        return found[0] if found else None

    def _check_rules(self, category: str | None, labels: tuple[str, ...]) -> None:
        for group in self.lexicon.vocabulary.groups:
            found = [label for label in labels if self.lexicon.group_of[label] is group]
            if group.exclusive and len(found) > 1:
                self._fault("conflicting_labels", f"{group.name}: got {found}, wanted one or none")
            if found and category is not None and category not in group.applies_to:
                self._fault(
                    "label_not_applicable",
                    f"{group.name}: got {found} for the category {category!r}; it is asked of "
                    f"{', '.join(sorted(group.applies_to))}",
                )

    def _fault(self, code: str, detail: str) -> None:
        self.log.add(code, self.number, self.name, detail)
