"""Questions about a file, asked on the terminal, and the layout that remembers the answers."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from batch_updater.cli.preview import ask, cancelled
from batch_updater.cli.text_output import Line, write_lines
from batch_updater.questions import Answers, QuestionKind

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from batch_updater.questions import Choice, Question

_PLACES = frozenset({QuestionKind.SHEET, QuestionKind.HEADER_ROW})
"""Where the headers are: the questions about columns follow from that."""
_NO = frozenset({"-", "n", "no"})


def answers_to(questions: Sequence[Question]) -> Answers:
    """Ask questions one after the other. Raises UsageError if a person gives up.

    Behind the question where the headers are nothing is asked: the file has to be read again first.
    """
    answers = Answers()
    for number, question in enumerate(questions, 1):
        count = f"Question {number} of {len(questions)}: " if len(questions) > 1 else ""
        answers = answers.with_more(_answer_to(question, count).answers)
        if question.kind in _PLACES:
            break
    return answers


def _answer_to(question: Question, count: str) -> Choice:
    lines = [Line("", 0), *([Line(f"{count}{question.evidence}", 0)] if question.evidence else [])]
    lines.append(Line(question.text if question.evidence else f"{count}{question.text}", 0))
    for number, choice in enumerate(question.choices, 1):
        lines.append(Line(f"  {number:>2}  {choice.text}", 6))
    write_lines(lines, sys.stderr)
    first = "Enter: 1, " if question.is_conclusive else ""
    prompt = f"{first}1-{len(question.choices)}, or q to cancel >"
    while True:
        answer = ask(prompt)
        if answer is None or answer in {"q", "quit", "cancel"}:
            raise cancelled()
        if not answer and question.is_conclusive:
            return question.choices[0]
        if answer.isdecimal() and 1 <= int(answer) <= len(question.choices):
            return question.choices[int(answer) - 1]


def name_of_layout(proposed: str, folder: Path) -> str | None:
    """Ask under which name the answers are remembered; None: under none."""
    from batch_updater.runs.layouts import require_name

    write_lines([Line("", 0), Line(f"Remember this for files with these headers, in {folder}?", 0)], sys.stderr)
    while True:
        answer = ask(f"Name (Enter: {proposed}, - for no) >")
        if answer is None or answer in _NO:
            return None
        try:
            return require_name(answer or proposed)
        except ValueError as error:
            write_lines([Line(f"That is no name: {error}.", 0)], sys.stderr)
