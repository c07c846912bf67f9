"""What verifying a dataset found."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from synthforge.dataset.folder import sample_name
from synthforge.dataset.ranges import merged


@dataclass(frozen=True)
class Problem:
    """Something that is wrong.

    what: a file and a line for it, or a line. indices: of the samples that must be drawn again to
    put it right; empty where drawing does not help.
    """

    what: str
    indices: range = range(0)

    def __str__(self) -> str:
        if not self.indices:
            return f"dataset  {self.what}"
        first, last = self.indices[0], self.indices[-1]
        numbers = (
            sample_name(first) if first == last else f"{sample_name(first)}-{sample_name(last)}"
        )
        return f"{numbers}  {self.what}"


@dataclass
class Report:
    """What was found.

    planned: samples that runs were asked for; None if dataset.json does not say. whole: samples in
    which nothing is wrong. compared: files of those whose SHA-256 is known, so that they are the
    bytes that were written.
    given_up: samples of the plan that the quality gate turned down for good. notes: lines that a
    user should see, which are no fault.
    """

    planned: int | None = None
    whole: int = 0
    compared: int = 0
    given_up: int = 0
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def is_whole(self) -> bool:
        return not self.problems

    @property
    def damaged(self) -> list[range]:
        """Numbers of samples that must be drawn again, ascending and apart."""
        return merged(problem.indices for problem in self.problems)

    def in_order(self) -> Iterator[Problem]:
        """What concerns the dataset as a whole first, then by number."""
        return iter(sorted(self.problems, key=lambda p: (bool(p.indices), p.indices.start)))
