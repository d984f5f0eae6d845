"""Stop a study: its workers finish their epoch, hand their trials back and exit; `ftsearch run` continues it."""

from __future__ import annotations

from search.cli._console import StorageOption, StudyArgument

SECTION, ORDER = "Search", 4


def command(study: StudyArgument, storage: StorageOption = None) -> None:
    from search.cli._console import console, open_store, study_name
    from search.store import workers, writing

    name = study_name(study)
    with open_store(storage) as engine:
        writing.request_stop(engine, name)
        count = len(workers.present(engine, name))
    there = (
        f"{count} worker{'s' * (count != 1)} will stop after the current epoch" if count else "no workers are running"
    )
    console().print(f"{name} is stopped; {there}. Continue with: ftsearch run STUDY.yaml", soft_wrap=True)
