"""Whether a study has found what its validation samples can tell apart (``search.stop: auto``)."""

from __future__ import annotations

from dataclasses import dataclass, field

from search.records import choice
from search.sampling import termination
from search.sampling.samplers import is_complete
from search.store import reading
from search.trials.context import TrialContext


@dataclass(slots=True)
class Settlement:
    """Looks at a study again whenever trials have been completed.

    Attributes:
        reason: why the study is settled; empty while it is not.
    """

    context: TrialContext
    reason: str = ""
    _complete: int = field(default=0, init=False)

    def look(self) -> bool:
        """Return whether no further candidate promises more than validation can tell.

        Always false if the study file does not ask for it, or if the error of validation is unknown.
        """
        spec, history = self.context.runtime.spec, self.context.history
        if spec.search.stop != "auto" or spec.goals.further or self.reason:
            return bool(self.reason)
        history.refresh()
        complete = sum(is_complete(trial) for trial in history.trials)
        if complete == self._complete:
            return False
        self._complete = complete
        bound = termination.promised(history.trials, maximize=spec.maximize)
        if bound == float("inf"):
            return False
        study = reading.load_study(self.context.engine, spec.name, epochs=False)
        error = None if study.best is None else choice.value_error(study, study.best)
        if error is not None and bound < error:
            samples = study.dataset.samples().get("val", 0)
            self.reason = (
                f"no further candidate promises more than {bound:.2g} {spec.objective}, less than {samples} validation "
                f"samples can tell ({error:.2g})"
            )
        return bool(self.reason)
