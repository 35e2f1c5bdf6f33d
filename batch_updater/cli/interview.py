"""Questions about a file, asked on the terminal, and the layout that remembers the answers."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING

from batch_updater.cli.colour import Style
from batch_updater.cli.preview import ask, ask_for_text, cancelled
from batch_updater.cli.text_output import Line, shown_path, write_lines
from batch_updater.questions import (
    ALL_COLUMNS,
    NO_ANSWERS,
    OF_COLUMNS,
    OF_ONE_FILE,
    OF_PLACE,
    Answers,
    OpenQuestionsError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from typing import TypeVar

    from batch_updater.questions import Choice, Question
    from batch_updater.runs.plan import Opened, Plan

    Result = TypeVar("Result")

_NUMBER = re.compile(r" #+[0-9]+$")
"""What tells columns with the same header apart."""
_NO = frozenset({"-", "n", "no"})
_CANCEL = frozenset({"q", "quit", "cancel"})


class Interview:
    """What was answered about a file: by options, and by a person who is asked for the rest."""

    def __init__(self, given: Answers, *, asking: bool) -> None:
        self.asking = asking
        """Whether there is a person to ask."""
        self._given = given
        self.asked: Answers = NO_ANSWERS
        """What a person has answered, unless a layout remembers it."""
        self._remembered: Answers = NO_ANSWERS
        self._is_declined = False
        """Whether a person does not want the answers to be remembered."""

    @property
    def answers(self) -> Answers:
        """All answers so far."""
        return self.told.with_more(self._remembered).with_more(self.asked)

    @property
    def told(self) -> Answers:
        """What options say, where a person who was asked about the same column has not said otherwise."""
        from batch_updater.loader.header_words import squeezed

        asked, told = self._remembered.with_more(self.asked), self._given
        for name in ("columns", *OF_COLUMNS):
            texts = {text for header in getattr(asked, name) for text in (header, _NUMBER.sub("", header))}
            keys = set(map(squeezed, texts - {ALL_COLUMNS}))
            told = told.without(name, [header for header in getattr(told, name) if squeezed(header) in keys])
        return told

    def until_answered(self, work: Callable[[], Result]) -> Result:
        """Do some work on the file, again after every round of questions that it raises.

        Raises OpenQuestionsError if there is no one to ask, UsageError if a person gives up.
        """
        while True:
            try:
                return work()
            except OpenQuestionsError as error:
                if not self.asking:
                    raise
                questions = error.questions
            self.asked = self.asked.with_more(_answers_to(questions))
            if not any(question.kind in OF_PLACE for question in questions):
                mistyped = [question.mistyped for question in questions if question.mistyped]
                for name in ("columns", *OF_COLUMNS):
                    self._given = self._given.without(name, mistyped)

    def is_to_remember(self, opened: Plan | Opened) -> bool:
        """Return whether a person has to be asked about remembering answers on the opened file."""
        # A workbook of ours remembers by itself.
        return not self._is_declined and self.asked not in (NO_ANSWERS, OF_ONE_FILE) and not opened.is_own_workbook

    def remember(self, folder: Path, opened: Plan | Opened) -> None:
        """Offer to remember the answers for all files with the same headers as the opened one, in its layout if any."""
        from batch_updater.runs.layouts import is_taken, place_of, require_name, same_headers, write_layout

        if not self.is_to_remember(opened):
            return
        proposed = opened.layout_name or opened.snapshot.stem
        write_lines([Line("Remember this for files with these headers?", 0, Style.STRONG)], sys.stderr)
        name = None
        while name is None:
            answer = ask_for_text(f"Name (Enter for {proposed}, - for no, q to cancel) >")
            if answer is None or answer.casefold() in _CANCEL:
                raise cancelled()
            if answer.casefold() in _NO:
                self._is_declined = True
                return
            try:
                name = require_name(answer or proposed)
            except ValueError as error:
                write_lines([Line(f"That is no name: {error}.", 0)], sys.stderr)
                continue
            if other := same_headers(folder, opened.layout(name)):
                write_lines([Line(f"The layout {other!r} has the same headers: replace that one.", 0)], sys.stderr)
                name, proposed = None, other
            elif is_taken(folder, name):
                question = f"{shown_path(place_of(folder, name))} is there already. Replace it? [y/N]"
                name = name if ask(question) in {"y", "yes"} else None
        place = write_layout(folder, opened.layout(name))
        write_lines([Line(f"Remembered in {shown_path(place)}.")], sys.stderr)
        self._remembered, self.asked = self._remembered.with_more(self.asked), NO_ANSWERS


def _answers_to(questions: Sequence[Question], answers: Answers = NO_ANSWERS) -> Answers:
    """Ask questions one after the other, and return `answers` with those to them, which never change an earlier one.

    Behind a question about where the headers are nothing is asked: it depends on the answer.
    """
    number = 0
    while questions := tuple(left for one in questions if (left := one.left_by(answers))):
        question, *questions = questions
        number += 1
        is_place, last = question.kind in OF_PLACE, number + len(questions)
        count = f"Question {number} of {last}" if last > 1 and not is_place else "Question"
        choice = _answer_to(question, count)
        answers = _answers_to(choice.then, choice.answers.with_more(answers))
        if is_place:
            break
    return answers


def _answer_to(question: Question, count: str) -> Choice:
    texts = [text for text in (question.text, question.full_evidence) if text]
    if question.is_conclusive:  # the evidence says what is asked for
        texts.reverse()
    strong = [Style.STRONG if text == question.text else None for text in texts]
    texts[0] = f"{count}: {texts[0]}"
    lines = [Line(), *(Line(text, 0, style) for text, style in zip(texts, strong, strict=True))]
    lines += [Line(f"  {number:>2}  {choice.text}", 6) for number, choice in enumerate(question.choices, 1)]
    write_lines(lines, sys.stderr)
    numbers = f"1-{len(question.choices)}" if len(question.choices) > 1 else "1"
    expected = f"a number from 1 to {len(question.choices)}" if len(question.choices) > 1 else "1"
    prompt = f"{'Enter for 1, or ' if question.is_conclusive else ''}{numbers}, or q to cancel >"
    while True:
        answer = ask(prompt)
        if answer is None or answer in _CANCEL:
            raise cancelled()
        if not answer and question.is_conclusive:
            return question.choices[0]
        if answer.isascii() and answer.isdigit() and 1 <= int(answer) <= len(question.choices):
            return question.choices[int(answer) - 1]
        write_lines(
            [Line(f"Answer with {expected}{', or Enter for 1' if question.is_conclusive else ''}.", 0)], sys.stderr
        )
