"""The label of every picture of a tree, as a text: from files of labels, class folders or names."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import chain

from mnistprep import _foreign
from mnistprep._text import printable
from mnistprep.errors import FormatError
from mnistprep.formats import _flatnames, _labelfile
from mnistprep.formats._classnames import plain
from mnistprep.formats._flatnames import natural
from mnistprep.formats._folders import Folders, is_called_picture, last, split_word, stem

_HEAPS = {"images", "image", "imgs", "img", "pictures", "pics", "digits", "data", "png", "jpg"}

Labels = dict[str, dict[str, str | None]]
"""The label of each picture of each split, in order; None where it has none."""


@dataclass
class Found:
    """Labels, and where they are from.

    by_folder: the splits whose labels are class folders; listed: those whose labels are in files;
    files: those files; empty_folders: class folders without pictures; missing: texts that say that
    there is no label; notes: what was decided.
    """

    labels: Labels = field(default_factory=dict)
    by_folder: set[str] = field(default_factory=set)
    listed: set[str] = field(default_factory=set)
    files: set[str] = field(default_factory=set)
    empty_folders: list[str] = field(default_factory=list)
    missing: set[str] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)

    @property
    def empty(self) -> set[str]:
        """The labels of the class folders without pictures."""
        return {last(folder) for folder in self.empty_folders} - self.missing

    def texts(self) -> set[str]:
        """The labels that there are."""
        return {
            text for group in self.labels.values() for text in group.values() if text is not None
        }

    def lacking(self) -> list[str]:
        """The pictures without a label."""
        groups = self.labels.values()
        return [name for group in groups for name, text in group.items() if text is None]


def find(folders: Folders, top: str, tops: dict[str, str], *, unlabelled: bool, own: bool) -> Found:
    """The labels of all pictures below `tops`, the folders of the splits.

    unlabelled: whether a picture may have none; own: whether mnistprep wrote the tree, so that a
    file of labels may list nothing. Raises FormatError for what is not certain, or contradicts.
    """
    return _Search(folders, top, tops, unlabelled, own).found


class _Search:
    def __init__(
        self, folders: Folders, top: str, tops: dict[str, str], unlabelled: bool, own: bool
    ) -> None:
        self.folders, self.store, self.top, self.tops = folders, folders.store, top, tops
        self.unlabelled, self.own, self.found = unlabelled, own, Found()
        self.pictures = {
            split: list(chain(*map(folders.pictures, folders.below(folder))))
            for split, folder in tops.items()
        }
        if top not in tops.values() and (beside := folders.pictures(top)):
            raise self._stray(beside[0])
        self._from_files()
        flat = []
        for split, folder in tops.items():
            pictures = self.pictures[split]
            if split in self.found.listed or (pictures and self._is_listed(pictures[0])):
                continue
            if self._is_heap(folder):
                self.found.labels[split] = dict.fromkeys(sorted(pictures, key=natural))
                flat.append(split)
            else:
                self.found.labels[split] = self._from_folders(folder)
                self.found.by_folder.add(split)
        self._from_names(flat)
        if not own:
            self._drop_missing()
        lacking = self.found.lacking()
        if lacking and not unlabelled:
            why = (
                "no class folders, no file of labels, and no names that say for certain which "
                f"number is one; {self._unread()}"
            )
            if self.found.missing:
                shown = printable(sorted(self.found.missing)[0], 40)
                why = f"{shown!r} among numbers says that there is none; correct it, or "
            elif self._is_listed(lacking[0]):
                why = "the file that lists them leaves it out; add it, or "
            raise FormatError(
                f"{self.store.where(lacking[0])} and {len(lacking) - 1:,} more pictures have no "
                f"label: {why}-R unlabelled=yes reads them without"
            )

    def _drop_missing(self) -> None:
        """Take -1, nan and the like for no label, where all others are numbers."""
        texts = self.found.texts() | self.found.empty
        missing = set(filter(_labelfile.is_missing, texts))
        numbers = texts - missing
        negative = any(text.startswith("-") for text in missing)
        if (numbers or negative) and all(t.isascii() and t.isdigit() for t in numbers):
            self.found.missing = missing
            for group in self.found.labels.values():
                group.update(dict.fromkeys([name for name in group if group[name] in missing]))

    def _unread(self) -> str:
        """A hint at a file that may hold labels, in a form that is not read."""
        below = chain(*map(self.folders.others, self.folders.below(self.top)))
        for name in below:
            if name not in self.found.files and _labelfile.may_hold_labels(last(name)):
                return (
                    f"{printable(name, 60)} is no list of names and labels that is read: save "
                    "it as labels.csv, `file_name,label`; "
                )
        return ""

    def _is_heap(self, top: str) -> bool:
        """Whether the pictures below lie in one folder that is not of a class."""
        full = [one for one in self.folders.below(top) if self.folders.pictures(one)]
        if full != [self._heap(top)]:
            return full == [top]
        name = last(full[0]).lower()  # as in testSet/testSet
        return name in _HEAPS or (name == last(top).lower() and split_word(last(top)) is not None)

    def _stray(self, name: str) -> FormatError:
        where = self.store.where(name)
        return FormatError(f"{where}: a picture outside the class folders; which class is it?")

    def _is_listed(self, picture: str) -> bool:
        return any(picture in self.found.labels[split] for split in self.found.listed)

    def _from_folders(self, top: str) -> dict[str, str | None]:
        labels: dict[str, str | None] = {}
        if beside := self.folders.pictures(top):
            raise self._stray(beside[0])
        for folder in self.folders.inside[top]:
            for deeper in self.folders.inside[folder]:
                if self.folders.holds(deeper) or is_called_picture(deeper):
                    where = self.store.where(deeper)
                    raise FormatError(f"{where}: a folder inside a class folder")
            pictures = self.folders.pictures(folder)
            if not pictures and not self.folders.others(folder):
                self.found.empty_folders.append(folder)
            labels.update(dict.fromkeys(pictures, last(folder)))
        return labels

    def _from_names(self, flat: list[str]) -> None:
        """Fill in what names say, by the one rule that is certain for a split at least."""
        groups = [self.found.labels[split] for split in flat]
        rules = {_flatnames.rule([stem(name) for name in group]) for group in groups if group}
        rules.discard(None)
        if len(rules) != 1:
            return
        rule = rules.pop()
        for group in groups:
            labels = {name: _flatnames.label(rule, stem(name)) for name in group} if rule else {}
            if None not in labels.values():
                group.update(labels)

    def _from_files(self) -> None:
        names = [name for folder in self._homes() for name in self.folders.others(folder)]
        names = [name for name in names if _labelfile.is_candidate(last(name))]
        if self.own:
            names = [name for name in names if last(name).startswith("metadata.")]
        sure = [name for name in names if _labelfile.is_metadata(last(name))]
        for name in sure or names:
            self._take(name, sure=bool(sure))
        for split, pictures in self.pictures.items() if self.found.listed else ():
            left = [name for name in pictures if not self._is_listed(name)]
            if not left or len(left) == len(pictures):
                continue
            if not self.unlabelled:
                raise FormatError(
                    f"{self.store.where(left[0])} and {len(left) - 1:,} more pictures are in no "
                    "file of labels, which lists others; -R unlabelled=yes reads them without"
                )
            self.found.listed.add(split)
            self.found.labels.setdefault(split, {}).update(dict.fromkeys(sorted(left, key=natural)))

    def _homes(self) -> list[str]:
        """The folders in which files of labels count."""
        tops = [self.top, *self.tops.values()]
        return list(dict.fromkeys([*tops, *filter(None, map(self._heap, tops))]))

    def _heap(self, top: str) -> str | None:
        """The one folder in `top`, such as `images`, where it is not of a class."""
        inside = [one for one in self.folders.inside[top] if self.folders.holds(one)]
        alone = len(inside) == 1 and not last(inside[0]).isdigit()
        return inside[0] if alone and inside[0] not in self.tops.values() else None

    def _is_flat(self, folders: list[str]) -> bool:
        """Whether the pictures lie in these folders, or in one heap in each: no class folders."""
        allowed = {*folders, *map(self._heap, folders)}
        below = chain(*map(self.folders.below, folders))
        return all(one in allowed for one in below if self.folders.pictures(one))

    def _take(self, name: str, *, sure: bool) -> None:
        """Add what one file lists.

        The file counts for the splits below its folder; for one of them, if its name says so; for
        a split that only its name says, where one heap of pictures has several lists.
        """
        folder, said = name.rpartition("/")[0], split_word(stem(name))
        start = f"{folder}/" if folder else ""
        scope = {s: t for s, t in self.tops.items() if t == folder or t.startswith(start)}
        scope = scope or {
            s: t for s, t in self.tops.items() if folder.startswith(f"{t}/" if t else "")
        }
        if said in scope and len(scope) > 1:
            scope = {said: scope[said]}
        flat = self._is_flat(list(scope.values()))
        homes = {picture: split for split in scope for picture in self.pictures[split]}
        resolve = _resolver(start, homes, flat)
        where = self.store.where(name)
        if flat and self.store.path.is_dir() and (wrong := _foreign.what(self.store.path / name)):
            raise FormatError(f"{where}: {wrong}")
        pictures = sorted(homes, key=natural) if flat else None
        notes: list[str] = []
        try:
            rows = _labelfile.entries(
                self.store.one(name), last(name), where, resolve, pictures, notes.append
            )
        except FormatError:
            if flat or sure:
                raise
            return  # a text beside class folders, which say the labels
        if rows is None:
            return
        if not flat and not any(label for _, label, _ in rows):  # of pictures in class folders
            if said and any(homes[picture] != said for picture, _, _ in rows):
                raise FormatError(
                    f"{where}: says which pictures are {said}, without their labels, which is not "
                    f"read; move them into a folder called {said}, or remove it"
                )
            return
        if not flat:
            self._check_folders(where, rows)
        self.found.files.add(name)
        self.found.notes += notes
        stated = self._stated(where, rows)
        for picture, label, part in rows:
            split = said if said and len(scope) == 1 else homes[picture]
            if stated and part is not None:
                part = split_word(part) or ""
                if part != split and (said or len(self.tops) > 1):
                    raise FormatError(
                        f"{where}: {printable(picture, 80)!r} is {part}, by its folder or the name "
                        f"of this file {split}; correct one of them"
                    )
                split = part
            if self._is_listed(picture):
                raise FormatError(f"{where}: {printable(picture, 80)!r} is listed twice")
            self.found.listed.add(split)
            self.found.labels.setdefault(split, {})[picture] = label
        if not rows and self.own:
            self.found.listed.update(scope)
            for split in scope:
                self.found.labels.setdefault(split, {})

    def _check_folders(self, where: str, rows: list[_labelfile.Entry]) -> None:
        """Refuse labels that are not those of the folders, where these are evidently classes.

        They are where most of their names are labels, and there are several.
        """
        said = [(name, plain(last(name.rpartition("/")[0])), plain(label))
                for name, label, _ in rows
                if label and not _labelfile.is_missing(label)]  # fmt: skip
        labels, folders = {label for *_, label in said}, {folder for _, folder, _ in said}
        wrong = [
            name
            for name, folder, label in said
            if folder != label and (folder in labels or folder.isdigit())
        ]
        if 2 * len(folders & labels) < len(folders) or len(folders) < 2 or not wrong:
            return
        label = next(label for name, label, _ in rows if name == wrong[0])
        raise FormatError(
            f"{self.store.where(wrong[0])} and {len(wrong) - 1:,} more pictures are in folders of "
            f"other classes than {where} says, here {printable(label or '', 40)!r}; correct one of "
            "them, or rename the folders if they are no classes"
        )

    def _stated(self, where: str, rows: list[_labelfile.Entry]) -> bool:
        """Whether a column says the splits; with a note where one might, in words of its own."""
        parts = {part for _, _, part in rows if part is not None}
        strange = sorted(part for part in parts if split_word(part) is None)
        if strange:
            self.found.notes.append(
                f"{where}: a column of splits is not read: {printable(strange[0], 40)!r} is none"
            )
        return bool(parts) and not strange


def _resolver(start: str, homes: dict[str, str], flat: bool) -> Callable[[str], str | None]:
    """What finds the picture that a text means: by its path, or if flat by the end of the path."""
    by_last: dict[str, set[str]] = defaultdict(set)
    for picture in homes if flat else ():
        by_last[last(picture)].add(picture)
        by_last[stem(picture)].add(picture)

    def resolve(text: str) -> str | None:
        parts = [part for part in text.replace("\\", "/").split("/") if part not in ("", ".")]
        for k in range(len(parts) if flat else 1):
            whole = start + "/".join(parts[k:])
            if whole in homes:
                return whole
        same = by_last.get(parts[-1], set()) if parts else set()
        return next(iter(same)) if len(same) == 1 else None

    return resolve
