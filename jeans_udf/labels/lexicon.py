"""What the words of a label file mean in a vocabulary, and hints for those that mean nothing."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from jeans_udf.annotations.faults import got
from jeans_udf.vocabulary import Group, Vocabulary

MOST_HINTS = 1000
"""Unknown words that near names are looked for: looking takes a millisecond for each."""


class Lexicon:
    """Labels by name; ``order`` is a label's place among the vocabulary's."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary
        self.order = {label: number for number, label in enumerate(vocabulary.labels)}
        self.group_of = {label: group for group in vocabulary.groups for label in group.labels}
        self._hints: dict[tuple[str, str], str] = {}

    def unknown_label(self, word: str, group: Group | None) -> str:
        """Why ``word`` is no label (of ``group``, if one is given)."""
        if group is None:
            return f"got {got(word)}, wanted labels of the vocabulary; {self._hint(word, None)}"
        hint = self._hint(word, group)
        other = self.group_of.get(word)
        if other is not None:
            hint = f"that is a label of {other.name}"
        return f"{group.name}: got {got(word)}, wanted one of its labels; {hint}"

    def unknown_category(self, word: str) -> str:
        known = self.vocabulary.categories
        return f"got {got(word)}, wanted a category; {_near(word, known)}"

    def _hint(self, word: str, group: Group | None) -> str:
        key = (word[:80], group.name if group else "")
        if key not in self._hints:
            if len(self._hints) >= MOST_HINTS:
                return "see the vocabulary"
            labels = group.labels if group else self.vocabulary.labels
            self._hints[key] = _near(word, labels)
        return self._hints[key]


def _near(word: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(word[:80].lower(), known, n=1)
    return f"did you mean {close[0]!r}?" if close else f"known: {', '.join(known)}"
