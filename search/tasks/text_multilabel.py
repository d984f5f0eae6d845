"""Any number of labels per text or pair of texts."""

from __future__ import annotations

from dataclasses import dataclass

from search.tasks import multilabel
from search.tasks._texts import Texts, TokenizerOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class Options(multilabel.Options, TokenizerOptions):
    """How texts are read, and how labels are learnt and predicted (as in the task ``multilabel``)."""

    def __post_init__(self) -> None:
        multilabel.Options.__post_init__(self)
        TokenizerOptions.__post_init__(self)


class TextMultilabel(Texts, multilabel.Multilabel):
    """Binary cross-entropy per label; mean average precision, macro and micro F1, share of samples wholly right."""

    name = "text_multilabel"
    formats = ("text_labels",)
    options = Options
    mixes = False
    chosen: Options = Options()


task = TextMultilabel()
