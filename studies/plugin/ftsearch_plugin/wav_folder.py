"""A data format: a folder of WAV files for each class, read as spectrograms. ``data.format: wav_folder``."""

from __future__ import annotations

import hashlib
import wave
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from search.data.assembly import Listed, assemble
from search.data.formats._base import Format
from search.data.sample import Dataset
from search.data.split_options import SplitOptions
from search.errors import DataError

_FLOOR_DB = -80.0
"""Quieter than this is black, relative to the loudest point of a sound."""


@dataclass(frozen=True, slots=True)
class Sound:
    """A WAV file: PCM of 8, 16 or 32 bits; several channels are averaged."""

    path: Path
    window: int

    @property
    def name(self) -> str:
        return str(self.path)

    def open(self) -> Image.Image:
        """Return the spectrogram in decibels as an RGB image, low tones at the bottom."""
        samples = self.samples()
        if len(samples) < self.window:
            raise ValueError(f"{len(samples)} samples are fewer than the window of {self.window}")
        spectrum = torch.stft(
            samples, self.window, self.window // 4, window=torch.hann_window(self.window), return_complex=True
        )
        power = spectrum.abs().square()
        decibels = 10 * (power / power.max().clamp(min=1e-12)).clamp(min=1e-12).log10()
        grey = (1 - decibels.clamp(min=_FLOOR_DB) / _FLOOR_DB).flip(0) * 255
        return Image.fromarray(grey.round().to(torch.uint8).numpy()).convert("RGB")

    def samples(self) -> torch.Tensor:
        """Return the sound as float32 in -1..1. Raises ValueError when the file is broken."""
        try:
            with wave.open(str(self.path), "rb") as file:
                width, channels = file.getsampwidth(), file.getnchannels()
                data = file.readframes(file.getnframes())
        except (wave.Error, EOFError) as error:
            raise ValueError(f"no WAV file: {error or 'it ends too early'}") from error
        if width not in (1, 2, 4):
            raise ValueError(f"PCM of 8, 16 or 32 bits expected, got {8 * width}")
        raw = np.frombuffer(data, dtype={1: np.uint8, 2: "<i2", 4: "<i4"}[width]).astype(np.float32)
        values = raw / 128 - 1 if width == 1 else raw / 2 ** (8 * width - 1)
        return torch.from_numpy(values.reshape(-1, channels).mean(axis=1))

    def digest(self) -> bytes:
        return hashlib.sha256(self.path.read_bytes() + str(self.window).encode()).digest()


@dataclass(frozen=True, slots=True)
class FolderOptions(SplitOptions):
    """``path/CLASS/*.wav``; ``window`` is that of the Fourier transform, in samples."""

    path: str
    window: int = 256

    def __post_init__(self) -> None:
        SplitOptions.__post_init__(self)
        if self.window < 16:
            raise ValueError(f"window must be at least 16 samples, got {self.window}")


class WavFolder(Format):
    """A folder of sounds for each class."""

    name, options = "wav_folder", FolderOptions

    def read(self, options: FolderOptions, base: Path) -> Dataset:
        root = base / Path(options.path).expanduser()
        files = sorted(root.glob("*/*.wav"))
        if not files:
            raise DataError(f"{root} has no sounds; expected {root}/CLASS/*.wav")
        listed = [Listed(Sound(path, options.window), path.parent.name) for path in files]
        return assemble(root.name, listed, options)


format = WavFolder()  # noqa: A001  # the word under which formats are found
