from __future__ import annotations

from search.dashboard.pages import workers as page
from search.dashboard.study_cache import StudyCache
from search.store import aggregates
from search.store.aggregates import WorkerActivity


def test_every_worker_has_a_line(cache: StudyCache) -> None:
    text = str(page.page(aggregates.workers(cache.engine)))
    assert "8 workers have claimed trials, 0 of them hold one now" in text
    assert "worker-7" in text


def test_who_holds_a_trial_is_linked_to_it() -> None:
    busy = WorkerActivity("w", 0, 0, 0.0, None, (("s", 4),))
    assert "/study/s/trial/4" in str(page.facts((busy,)))
    assert "No worker" in str(page.facts(()))
