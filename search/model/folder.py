"""The folder of a finished model: its facts, its files, and their checksums. No torch.

``model.json`` says what the model is, ``candidate.json`` how its network is made, ``README.md`` is its card, and
``SHA256SUMS`` (as ``sha256sum -c`` reads it) guards every file but the card, which is for people to add to.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from glob import escape
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import Field, TypeAdapter, ValidationError

from search.artifacts import partial_files
from search.data.yaml_documents import text_of
from search.errors import UserError
from search.model import limits
from search.records.command_line import command

FORMAT: Final = 1
"""Version of ``model.json``; raised when its meaning changes."""
_OLD = ".old"
_LARGEST = 1 << 24
"""Bytes of what a model is, and of the list of its checksums."""
FACTS, CANDIDATE, CARD, SUMS = "model.json", "candidate.json", "README.md", "SHA256SUMS"
Fit = Literal["crop", "stretch", "letterbox"]
FITS: Mapping[str, Fit] = {"crop": "crop", "stretch": "stretch", "letterbox": "letterbox"}
_FORBID: dict[str, str] = {"extra": "forbid"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ImagePreprocessing:
    """How an image becomes the network's input.

    Attributes:
        size: height and width of the network's input.
        resize: with ``crop``, height and width that the image must cover before: it is scaled, its proportions kept.
        mean, std: of each channel, after scaling to 0..1.
        interpolation: ``bilinear`` or ``bicubic``.
        fit: ``crop`` cuts ``size`` from the centre, ``stretch`` squashes the whole image to it, ``letterbox`` keeps its
            proportions, with grey bars beside it.
        steps: all of it in words and formulas, for programs of other people; empty in folders of an older version.
        levels: what is black and what is white in images of more than 8 bits a channel, as the training data had them;
            None where they had no such images.
    """

    size: tuple[int, int]
    resize: tuple[int, int]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    interpolation: str
    fit: Fit = "crop"
    levels: tuple[float, float] | None = None
    steps: str = ""
    __pydantic_config__: ClassVar[dict[str, str]] = _FORBID


@dataclass(frozen=True, slots=True, kw_only=True)
class TextPreprocessing:
    """How a text becomes the network's input: by the tokenizer in the model's folder.

    Attributes:
        length: most tokens; what is longer is cut.
        folder: of the tokenizer's files, in the model's.
        pairs: whether it takes two texts at once; ``words`` whether it takes lists of words.
        padding: number that fills up shorter texts of a batch; ``segments`` is added to those of a second text.
        text_column, pair_column: of tables, as the study's data call them; empty ones are found by their names.
        word_column: place of the words in files of CoNLL form.
    """

    length: int
    folder: str
    pairs: bool = False
    words: bool = False
    padding: int = 0
    segments: int = 0
    text_column: str = ""
    pair_column: str = ""
    word_column: int = 0
    __pydantic_config__: ClassVar[dict[str, str]] = _FORBID


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """The pretrained weights a model began with.

    Attributes:
        name: of the weights; ``none`` when it was trained from scratch.
        sha256: of their file; empty without one.
        license: an SPDX name or a page; empty where the publisher names none.
        source: where they come from; empty when that is not known.
    """

    name: str
    sha256: str = ""
    license: str = ""
    source: str = ""
    __pydantic_config__: ClassVar[dict[str, str]] = _FORBID


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """How a file compared with the network it was written from, on validation images or texts.

    Attributes:
        images: number of inputs.
        difference: largest one of an output, relative to the largest output; ``allowed`` is what it may be.
        agreeing: of how many of ``images`` the answer is the same.
    """

    format: str
    file: str
    images: int
    difference: float
    allowed: float
    agreeing: int
    __pydantic_config__: ClassVar[dict[str, str]] = _FORBID


SELECTED = "validation images, which chose this candidate among others: expect a little less on new images"
FINAL = "test images, which no choice has seen"
WITHOUT = (
    "validation images, by this candidate when it was trained on the training images alone: this model is trained on "
    "both, so that no image is left to score it on"
)
TRAINED = "validation images, which it was trained on too: this says little about new images"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFacts:
    """The facts of a model, as ``model.json`` holds them.

    Attributes:
        name: of the model, for people.
        trial: number of the trial it comes from; None for a refit.
        words: the candidate in one line.
        task_options: what the study file has under the task's name; ``task_facts`` what the task found in the data.
        classes: names of the classes, or of the numbers that are predicted (``outputs``).
        frame: how images are prepared; ``texts`` how texts are. Without either the task prepares its inputs in a way
            of its own.
        metrics: of this model on ``images`` samples; ``measured_on`` says which and how far they can be believed.
            Of a trial they are computed at export; ``stored`` is as the search stored them.
        base_size: input size of the study, from which the candidate's decisions start.
        temperature: outputs are divided by it before they become probabilities.
        folded: whether batch norms are folded into the preceding layers.
        files: name of the file of each format.
        versions: of the packages that the model was made with.
    """

    name: str
    study: str
    trial: int | None
    task: str
    classes: tuple[str, ...]
    words: str
    backbone: str
    weights: Origin
    frame: ImagePreprocessing | None
    base_size: tuple[int, int]
    objective: str
    metrics: Mapping[str, float]
    stored: Mapping[str, float]
    images: int
    dataset: str
    dataset_fingerprint: str
    parameters: int
    flops: int
    created: str
    files: Mapping[str, str]
    checks: tuple[Check, ...]
    versions: Mapping[str, str] = field(default_factory=dict)
    outputs: str = "classes"
    texts: TextPreprocessing | None = None
    task_options: Mapping[str, Any] = field(default_factory=dict)
    task_facts: Mapping[str, Any] = field(default_factory=dict)
    temperature: float = 1.0
    folded: bool = False
    measured_on: str = SELECTED
    format: Annotated[int, Field(ge=FORMAT, le=FORMAT)] = FORMAT  # `Literal[1]` takes true and 1.0 for it
    __pydantic_config__: ClassVar[dict[str, str]] = _FORBID

    @property
    def kind(self) -> str:
        """The kind of its inputs: ``images`` or ``texts``."""
        return "images" if self.texts is None else "texts"

    @property
    def place(self) -> str:
        """What ``ftsearch predict`` is given, as its help calls it."""
        return "IMAGE_OR_FOLDER" if self.texts is None else "FILE_OF_TEXTS"

    def to_json(self) -> str:
        """Return it as the text of ``model.json``."""
        return json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n"


def read(folder: Path) -> ModelFacts:
    """Return the facts of the model in ``folder``; its files are checked against their checksums.

    Raises:
        UserError: no model there, one of another version, or a file that is missing or damaged.
    """
    path = folder / FACTS
    if not path.is_file():
        what = "no such folder" if not folder.exists() else f"it holds no {FACTS}"
        raise UserError(f"{folder} is not a model: {what}; make one with `{command('export', 'STUDY', '-o', folder)}`")
    listed = _verify(folder)
    try:
        # Strict: `true` is not a number, nor is "1".
        facts = TypeAdapter(ModelFacts).validate_json(text_of(path, _LARGEST), strict=True)
    except ValidationError as error:
        faults = error.errors(include_url=False)
        version = next((fault["input"] for fault in faults if fault["loc"] == ("format",)), FORMAT)
        if version != FORMAT:  # what else is wrong may be right in that version
            raise UserError(
                f"{path} is of format {version!r}, this version of ftsearch reads format {FORMAT}; "
                "use the version that wrote it"
            ) from error
        where = "".join(f"{part}." for part in faults[0]["loc"])[:-1]
        raise UserError(f"{path}: {f'{where}: ' if where else ''}{faults[0]['msg']}; export the model again") from error
    except (ValueError, OSError) as error:
        raise UserError(f"cannot read {path}: {error}; export the model again") from error
    if odd := limits.exceeded(facts):
        raise UserError(f"{path}: {odd}; export the model again")
    if facts.texts is not None and not _is_own(facts.texts.folder):
        raise UserError(f"{path}: texts.folder must name a folder of the model's own, got {facts.texts.folder!r}")
    strange = [name for name in facts.files.values() if name not in listed or not _is_own(name)]
    if strange:
        raise UserError(
            f"{path}: files: {strange[0]} is not among the files of {folder / SUMS}; export the model again"
        )
    return facts


def _is_own(name: str) -> bool:
    """Return whether ``name`` is of something right in the model's folder."""
    return name not in (".", "..") and Path(name).parts == (name,) and not Path(name).is_absolute()


def _verify(folder: Path) -> dict[str, str]:
    """Return the checksums of the folder's files, which they have."""
    path = folder / SUMS
    if not path.is_file() or path.is_symlink() or path.stat().st_size > _LARGEST:
        what = "is not there" if not path.exists() else "is not a list of checksums"
        raise UserError(f"{path} {what}; export the model again")
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read {path}: {error}; export the model again") from error
    listed = {name: digest for digest, _, name in (line.partition("  ") for line in lines) if name}
    if not {FACTS, CANDIDATE} <= set(listed):
        raise UserError(f"{path} does not list {FACTS} and {CANDIDATE}; export the model again")
    for name, expected in listed.items():
        if not _is_inside(folder, name):
            raise UserError(f"{path} lists {name!r}, which is no file of this folder; export the model again")
        try:
            actual = _sha256(folder / name)
        except OSError as error:
            raise UserError(f"{folder / name} cannot be read: {error.strerror}; export the model again") from error
        if actual != expected:
            raise UserError(
                f"{folder / name} is damaged or was changed: its SHA-256 begins with {actual[:16]}, {SUMS} says "
                f"{expected[:16]}; export the model again"
            )
    return listed


def _is_inside(folder: Path, name: str) -> bool:
    """Return whether ``name`` is missing or a regular file in ``folder``, and no device or link out of it."""
    try:
        path = (folder / name).resolve()
        return path.is_relative_to(folder.resolve()) and (path.is_file() or not path.exists())
    except (OSError, ValueError, RuntimeError):
        return False


def seal(folder: Path) -> None:
    """Write the checksums of all files in ``folder`` but the card, and bring everything to the disk."""
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    lines = [f"{_sha256(folder / name)}  {name}\n" for name in names if name not in (SUMS, CARD)]
    (folder / SUMS).write_text("".join(lines), "utf-8")
    readable = stat.S_IMODE((folder / SUMS).stat().st_mode)  # as the umask has it
    for path in (*folder.rglob("*"), folder):
        if path.is_dir():
            path.chmod(readable | (readable & 0o444) >> 2 | path.stat().st_mode & stat.S_ISGID)
        else:
            path.chmod(readable)  # some writers make files that only their owner can read
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def check_target(folder: Path) -> None:
    """Check that a model may be written to ``folder``: nothing is there, or a model that it replaces.

    Raises:
        UserError: something else is there.
    """
    if not folder.exists() and not folder.is_symlink():
        return
    if not folder.is_dir():
        raise UserError(f"{folder} is a file; name a folder with -o")
    names = {path.name for path in folder.iterdir()}
    if not names:
        return
    if FACTS not in names or SUMS not in names:
        raise UserError(f"{folder} holds other files ({_few(names)}); name a new folder with -o")
    listed = {line.split("  ", 1)[-1].split("/", 1)[0] for line in (folder / SUMS).read_text("utf-8").splitlines()}
    foreign = names - listed - {SUMS, CARD}
    if foreign:
        raise UserError(f"{folder} holds files that are not the model's ({_few(foreign)}); name a new folder with -o")


def _few(names: set[str]) -> str:
    ordered = sorted(names)
    return ", ".join(ordered[:3]) + (", ..." if len(ordered) > 3 else "")


@contextmanager
def replacing(folder: Path) -> Iterator[Path]:
    """Give an empty folder to write to that becomes ``folder`` at the end; a model that was there stays until then.

    When the block fails, ``folder`` is as it was.

    Raises:
        UserError: ``folder`` holds something else, or its place cannot be written to.
    """
    check_target(folder)
    folder = folder.absolute()
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        _take_up(folder)
        temporary = folder.parent / f".{folder.name}{partial_files.name_for()}"
        temporary.mkdir()
    except OSError as error:
        raise UserError(f"cannot write to {folder.parent}: {error.strerror}; name another folder with -o") from error
    try:
        yield temporary
        seal(temporary)
        _exchange(temporary, folder)
    except OSError as error:
        raise UserError(
            f"cannot write the model to {folder}: {error.strerror}; free space, or name another folder with -o"
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _exchange(new: Path, folder: Path) -> None:
    """Put ``new`` in the place of ``folder``; the old one is removed last, and put back should that fail."""
    if not folder.exists():
        new.rename(folder)
        return
    old = folder.parent / f".{folder.name}{_OLD}{partial_files.name_for()}"
    folder.rename(old)
    try:
        new.rename(folder)
    except OSError:
        old.rename(folder)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _take_up(folder: Path) -> None:
    """Remove what a process left that died while it wrote ``folder``; put back the model it was about to replace."""
    begin = f".{escape(folder.name)}"
    for old in folder.parent.glob(f"{begin}{_OLD}{partial_files.PREFIX}*"):
        if partial_files.is_left(old) and not folder.exists():
            old.rename(folder)
    for pattern in (f"{begin}{_OLD}{partial_files.PREFIX}*", f"{begin}{partial_files.PREFIX}*"):
        partial_files.sweep(folder.parent, pattern)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
