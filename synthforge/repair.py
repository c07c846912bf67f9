"""Draws damaged samples of a dataset again, with the settings that its dataset.json holds."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from synthforge.assembly import Rig, build_rig
from synthforge.card_settings import settings_of
from synthforge.config import AssetPaths, RunConfig
from synthforge.dataset.card import dataset_card, other_settings
from synthforge.dataset.folder import ANNOTATIONS, DatasetError, planned_ranges, sample_path
from synthforge.dataset.manifest import Manifests, digest, file_name, write_manifests
from synthforge.dataset.ranges import merged, without
from synthforge.dataset.scan import sample_indices
from synthforge.dataset.shards.record import record_file, whole_shards
from synthforge.dataset.shards.write import ShardWriter
from synthforge.dataset.sink import Writer, cannot_write
from synthforge.dataset.target import Target, open_target, read_card
from synthforge.dataset.write import DatasetWriter
from synthforge.engines import pick_engine
from synthforge.labels import CORE
from synthforge.pipeline import generate_dataset
from synthforge.plan import inside


@dataclass(frozen=True)
class Repair:
    """A dataset's damaged samples, and what draws them again.

    rig: draws what the dataset's own run drew. tell: takes the lines that a user should see.
    """

    target: Target
    card: Mapping[str, Any]
    rig: Rig
    workers: int | Literal["auto"]
    tell: Callable[[str], None]

    @classmethod
    def of(
        cls,
        root: Path | str,
        assets: AssetPaths,
        workers: int | Literal["auto"],
        tell: Callable[[str], None],
        like: Path | None = None,
        alignment: Path | None = None,
    ) -> Repair:
        """Raises ConfigError or DatasetError if this program would draw other samples.

        like, alignment: as `settings_of` takes them.
        """
        target = open_target(root)
        card = read_card(target)
        rig = build_rig(settings_of(card, assets, like, alignment), tell)
        repair = cls(target, card, rig, workers, tell)
        differing = other_settings(card["recipe"], repair._run(range(1)), rig)
        if differing:
            raise DatasetError(
                f"this program would draw other samples than those in {target.where()}: another "
                f"{differing}. Bring the files and the version that made it, or make it anew"
            )
        return repair

    def draw(self, damaged: Sequence[range]) -> list[int]:
        """Draw samples again, in the place of what is there; for shards, each shard with one.

        Returns those whose files are whole and yet other bytes than were listed before: they were
        first drawn on another kind of machine. Raises DatasetError as a run does.
        """
        if "samples_per_tar" in self.card:
            return self._draw_shards(damaged)
        return self._draw_files(damaged)

    def _draw_files(self, damaged: Sequence[range]) -> list[int]:
        root = Path(self.target.where())
        folders = (*CORE, *self.card["recipe"].get("extras", ()))
        before = Manifests(root)
        others: list[int] = []
        for part in damaged:
            with cannot_write(root):
                for index in part:
                    for folder in (ANNOTATIONS, *folders):
                        _remove(sample_path(root, folder, index))
            run = self._run(part)
            self._generate(run, DatasetWriter(root, self._own_card(run), run.extras, None, part))
            there = set(sample_indices(root, folders, part).tolist())
            others += [i for i in part if i in there and not _is_listed(root, folders, i, before)]
        lists = before.ranges()
        with cannot_write(root):
            for part in (*lists, *(without(damaged, lists) if lists else ())):
                complete = sample_indices(root, folders, part)
                drawn = [inside(one, complete) for one in damaged]
                known = np.setdiff1d(complete, np.concatenate([complete[:0], *drawn]))
                write_manifests(root, folders, part, complete, known)
        return others

    def _draw_shards(self, damaged: Sequence[range]) -> list[int]:
        size = self.card["samples_per_tar"]
        numbers = {
            number for part in damaged for number in range(part[0] // size, part[-1] // size + 1)
        }
        before = dict(whole_shards(self.target))
        attempts = max([RunConfig.max_attempts, *(r.max_attempts for r in before.values())])
        planned = planned_ranges(self.card) or merged(
            [*damaged, *(range(record.start, record.stop) for record in before.values())]
        )
        planned = [part for part in (self._from_a_shard(p, numbers) for p in planned) if part]
        with cannot_write(self.target.where()):
            for number in numbers:
                with self.target.replacing(record_file(number)):  # an empty one: it is not there
                    pass
        for part in planned:
            run = replace(self._run(part), max_attempts=attempts)
            writer = ShardWriter(self.target, self._own_card(run), run)
            self._generate(run, writer)
            writer.write_index()
        now = dict(whole_shards(self.target))
        return [
            index
            for number in sorted(numbers & before.keys() & now.keys())
            if before[number] != now[number]
            for index in now[number].indices
        ]

    def _from_a_shard(self, part: range, numbers: Collection[int]) -> range:
        """A plan from where a shard begins: one of an export may begin in the middle of another.

        numbers: of the shards to draw again. Raises DatasetError if that other is one of them: it
        would get samples that the export never had.
        """
        size = self.card["samples_per_tar"]
        number, beyond = divmod(part.start, size)
        if beyond and number in numbers:
            raise DatasetError(
                f"{self.target.where()} was exported from sample {part.start} on, in the middle of "
                f"a shard of {size}, which cannot be drawn again; repair the dataset that it was "
                "exported from, and export that again"
            )
        return range((number + 1) * size, part.stop) if beyond else part

    def _generate(self, run: RunConfig, writer: Writer) -> None:
        missing = len(run.indices) - len(inside(run.indices, writer.there))
        if not missing:
            return
        writer.check_room(missing)
        writer.open()
        try:
            engine = pick_engine(run, self.rig, writer, missing, self.tell)
            generate_dataset(run, writer, engine)
        finally:
            writer.close()

    def _run(self, part: range) -> RunConfig:
        recipe, grid = self.card["recipe"], self.rig.sampling.grid
        is_full = grid is not None and grid.is_full
        return RunConfig(
            output_dir=self.target.where(),
            num_images=len(part),
            start_index=part.start,
            seed=recipe["seed"],
            extras=tuple(recipe.get("extras", ())),
            keypoints=tuple(recipe.get("keypoints", ())),
            max_attempts=1 if is_full else RunConfig.max_attempts,
            workers=self.workers,
            format=self.card.get("format", "folder"),
            samples_per_tar=self.card.get("samples_per_tar", RunConfig.samples_per_tar),
        )

    def _own_card(self, run: RunConfig) -> dict[str, Any]:
        """As the dataset's, whose plan and notes of files stay as they are."""
        card = dataset_card(run, self.rig, self.card.get("files"))
        if "planned" not in self.card:
            del card["planned"]
            return card
        return card | {"planned": self.card["planned"]}


def _is_listed(root: Path, folders: Sequence[str], index: int, manifests: Manifests) -> bool:
    """Whether a sample's files are those that were listed, as far as they were."""
    listed = manifests.of(index)
    for folder in (*folders, ANNOTATIONS):
        known = listed.get(file_name(folder, index))
        if known and digest(root, folder, index) not in known:
            return False
    return True


def _remove(path: Path) -> None:
    """Remove a file, or an empty folder in its place."""
    if path.is_dir() and not path.is_symlink():
        if any(path.iterdir()):
            raise DatasetError(f"{path} is a folder that holds files; move it away")
        path.rmdir()
    else:
        path.unlink(missing_ok=True)
