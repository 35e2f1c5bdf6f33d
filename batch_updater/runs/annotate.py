"""The annotated copy that a run or a check writes beside its results, if it is asked for one."""

from __future__ import annotations

from pathlib import Path

import msgspec
from msgspec.structs import replace

from batch_updater.errors import ResultsError
from batch_updater.files.writing import ROOM_THERE, fitting_name, not_written
from batch_updater.records import Columns
from batch_updater.reporter.copy_losses import Annotatable, examine
from batch_updater.runs.plan import Plan
from batch_updater.runs.result import RunResult

_OF_RESULTS = "the input is a results workbook. The new one has the same columns."
_NOT_WAITED_FOR = "The annotated copy was not written: the second signal ended the run at once."


class AnnotatedCopy(msgspec.Struct, frozen=True):
    """What is known of the copy before it is written."""

    source: Path
    """The copy of the input that is annotated."""
    found: Annotatable | None = None
    """None if no copy is asked for."""
    may_lose: bool = False
    """Whether a person has agreed to what the copy loses."""

    @classmethod
    def of(cls, plan: Plan, *, may_lose: bool) -> AnnotatedCopy:
        """Look at the input of a run or a check. Raises OSError."""
        if not plan.config.results.annotate:
            return cls(plan.snapshot.path)
        return cls.of_input(plan.snapshot.path, plan.staged.columns, may_lose=may_lose)

    @classmethod
    def of_input(cls, source: Path, columns: Columns, *, may_lose: bool) -> AnnotatedCopy:
        """Look at an input of which a copy is asked for. Raises OSError."""
        # Its rows are known by the numbers of the first file, and the new workbook has the same columns.
        found = Annotatable(refusal=_OF_RESULTS) if columns.origin else examine(source)
        return cls(source, found, may_lose)

    @property
    def note(self) -> str:
        """What a person should know of it, or why there is none; '' if there is nothing."""
        return self.found.note(may_lose=self.may_lose) if self.found else ""

    @property
    def lost(self) -> str:
        """What a person would have to agree to, as part of a sentence; '' if nothing is lost."""
        return self.found.lost if self.found and self.found.losses else ""

    def added_to(self, result: RunResult, folder: Path, stem: str) -> RunResult:
        """Write it into the folder, for an input of that name; returns the result with it, or with why it is not there.

        What openpyxl cannot copy is a note, what the disk does not take is a fault.
        """
        if self.found is None or self.found.refusal or not (self.may_lose or not self.found.losses):
            return replace(result, annotation_note=self.note)
        from batch_updater.reporter.annotated_copy import write_annotated  # openpyxl takes long to import

        path = folder / fitting_name(stem, f"-annotated{self.found.suffix}")
        try:
            written = write_annotated(self.source, path, result.facts.sheet or "", result.columns, result.rows())
            return replace(result, annotated=written, annotation_note=self.note)
        except ResultsError as error:
            note = f"There is no annotated copy: {error}"
            facts = replace(result.facts, notes=(*result.facts.notes, note))
            return replace(result, facts=facts, annotation_note=note)
        except OSError as error:
            fault = not_written(f"The annotated copy {path}", error, ROOM_THERE)
        except KeyboardInterrupt:
            fault = _NOT_WAITED_FOR
        return replace(result, fault=f"{result.fault} {fault}" if result.fault else fault)
