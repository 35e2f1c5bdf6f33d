"""docs/reference/ names what the program has: nothing is missing there, and nothing is invented."""

from __future__ import annotations

import inspect
import json
import os
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args, get_origin

import pytest
from jsonschema import Draft202012Validator
from msgspec.structs import fields
from pydantic import BaseModel
from ruamel.yaml import YAML

import batch_updater
import batch_updater.endpoint
from batch_updater import Progress, Run, Undo, arun, check, run
from batch_updater.cli.commands import main
from batch_updater.config.schema import Config, FieldSettings, SecretReference
from batch_updater.errors import ExitCode
from batch_updater.records import Cause, OutcomeKind, StopReason
from batch_updater.reporter.next_step import NextKind
from batch_updater.sandbox.server import Sandbox, SandboxSettings
from tests.docs.pages import (
    DASH,
    DOCS,
    PAGES,
    README,
    codes,
    first_column,
    headings,
    prose,
    section,
    tables,
    text_of,
    title,
)
from tests.end_to_end.inside import Inside
from tests.end_to_end.program import SAMPLES, configure
from tests.json_schema import OF_COMMAND, SCHEMA, definitions

if TYPE_CHECKING:
    from collections.abc import Iterator

COMMANDS = DOCS / "reference" / "commands.md"
CONFIGURATION = DOCS / "reference" / "configuration.md"
JSON = DOCS / "reference" / "json.md"
OUTCOMES = DOCS / "reference" / "outcomes-and-exit-codes.md"
FILES = DOCS / "reference" / "files.md"
OF_EVERY_COMMAND = "Options of every command"


@pytest.fixture
def helped(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Helped:
    monkeypatch.setenv("COLUMNS", "200")
    return Helped(capsys)


class Helped:
    """What `--help` prints."""

    def __init__(self, captured: pytest.CaptureFixture[str]) -> None:
        self._captured = captured

    def __call__(self, *command: str) -> str:
        with pytest.raises(SystemExit):
            main([*command, "--help"])
        return self._captured.readouterr().out

    @property
    def commands(self) -> list[str]:
        return re.findall(r"^    ([a-z]+) ", self(), re.MULTILINE)

    def options(self, *command: str) -> set[str]:
        """Return every option with what follows it, such as `--sheet NAME`."""
        return set(re.findall(r"^  (?:-\w, )?(--\S+(?: \S+)*)", self(*command), re.MULTILINE))


def test_every_command_has_its_section(helped: Helped) -> None:
    """And there is no section of another."""
    assert sorted(headings(COMMANDS, "##")) == sorted([OF_EVERY_COMMAND, *helped.commands])


def test_the_options_of_a_command_are_those_of_its_help(helped: Helped) -> None:
    """With what follows each of them, such as `--limit N`."""
    of_every_command = set(first_column(section(COMMANDS, OF_EVERY_COMMAND)))
    for command in helped.commands:
        text = section(COMMANDS, command)
        documented = set(first_column(text)) if tables(text) else set()
        assert documented | of_every_command == helped.options(command), command
        assert not documented & of_every_command, command


def test_the_usage_of_a_command_is_that_of_its_help(helped: Helped) -> None:
    """Without the options."""
    for command in helped.commands:
        usage = re.sub(r"\[-[^][]*(\[[^]]*\][^][]*)?\]", "", helped(command).partition("\n\n")[0])
        words = usage.removeprefix("usage: ").split()
        assert f"\n    {' '.join(words)}\n" in section(COMMANDS, command)


@pytest.mark.parametrize("page", PAGES, ids=title)
def test_every_option_that_a_page_names_is_one_of_the_command(page: Path, helped: Helped) -> None:
    """In code such as `batch-updater run FILE --yes`, or `--yes` alone."""
    options = {command: {words.split()[0] for words in helped.options(command)} for command in helped.commands}
    everywhere = {"--version"}.union(*options.values())
    for code in re.findall(r"`([^`]+)`", prose(page)):
        match code.split():
            case ["batch-updater", command, *words]:
                assert set(words) & everywhere == {word for word in words if word.startswith("--")}, code
                assert {word for word in words if word.startswith("--")} <= options.get(command, set()), code
            case [word, *_] if word.startswith("--"):
                assert word.partition("=")[0] in everywhere, code


def keys_of(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every key with its default; `None` where it has none."""
    for name, field in model.model_fields.items():
        yield f"{prefix}{name}", None if field.is_required() else field.get_default(call_default_factory=True)
        for kind in () if get_origin(field.annotation) is dict else (field.annotation, *get_args(field.annotation)):
            if isinstance(kind, type) and issubclass(kind, BaseModel) and kind is not SecretReference:
                yield from keys_of(kind, f"{prefix}{name}.")


@pytest.mark.parametrize("name", Config.model_fields)
def test_the_keys_of_a_section_are_those_of_the_schema(name: str) -> None:
    """With the default of each; a dash where there is none."""
    annotation = Config.model_fields[name].annotation
    assert isinstance(annotation, type)
    assert issubclass(annotation, BaseModel)
    yaml = YAML(typ="safe")
    documented = {}
    for key, default, meaning in tables(section(CONFIGURATION, name))[0]:
        assert meaning
        documented[codes(key)[0]] = None if default == DASH else yaml.load(codes(default)[0])
    schema = dict(keys_of(annotation))
    assert documented == {key: plain(default) for key, default in schema.items()}


def test_the_keys_of_a_field_are_those_of_the_schema() -> None:
    """A table of their own, for there are as many fields as an API has."""
    assert first_column(section(CONFIGURATION, "Beside the description")) == list(FieldSettings.model_fields)


def plain(default: object) -> object:
    """Return a default as YAML would give it."""
    if isinstance(default, tuple):
        return list(default)
    return str(default) if isinstance(default, os.PathLike) else default


@pytest.mark.parametrize("page", [README, OUTCOMES], ids=title)
def test_outcomes_and_exit_codes_are_those_of_the_program(page: Path) -> None:
    """Every one, in the order of the program."""
    assert first_column(section(page, "Outcomes")) == [kind.value for kind in OutcomeKind]
    assert sorted(map(int, first_column(section(page, "Exit codes")))) == sorted(ExitCode)


@pytest.mark.parametrize("page", ["nightly.md", "scheduling.md"])
def test_the_guides_for_the_night_have_every_exit_code(page: str) -> None:
    """Someone who schedules the job has to treat each of them."""
    found = [[row[0] for row in table] for table in tables(prose(DOCS / "guide" / page))]
    assert sorted(map(str, ExitCode)) in [sorted(column) for column in found]


def test_the_reasons_of_a_stop_and_the_next_steps_are_those_of_the_program() -> None:
    """The values of `stopped`, and those of `next.kind`."""
    assert first_column(section(JSON, "run, check, report, demo"), 1) == [reason.value for reason in StopReason]
    assert first_column(section(JSON, "run, check, report, demo"), 2) == [kind.value for kind in NextKind]


def test_the_schema_of_json_has_the_words_of_the_program() -> None:
    """Outcomes, stop reasons, next steps and exit codes; and each object that it describes is one of the whole."""
    named = definitions()
    assert named["outcome"]["enum"] == list(named["outcomes"]["properties"]) == [kind.value for kind in OutcomeKind]
    assert named["stopped"]["enum"] == [*(reason.value for reason in StopReason), None]
    assert named["next"]["properties"]["kind"]["enum"] == [kind.value for kind in NextKind]
    assert named["error"]["properties"]["exit_code"]["enum"] == sorted(ExitCode)
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(schema)
    whole = {one["$ref"].rpartition("/")[2] for one in schema["anyOf"]}
    assert whole == {*OF_COMMAND.values(), "row", "error"}


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Inside]:
    """Run commands in a folder with `changes.xlsx` and a configuration for a sandbox."""
    with Sandbox(SandboxSettings()) as sandbox:
        shutil.copy(SAMPLES / "opportunities.xlsx", tmp_path / "changes.xlsx")
        (tmp_path / "inbox").mkdir()
        configure(tmp_path, sandbox.url, "sending: {rate_per_s: 5000}\nnightly: {inbox: inbox}\n")
        yield Inside(tmp_path)


def test_the_fields_of_json_are_those_that_are_printed(program: Inside) -> None:
    """Of every command; `demo` prints that of a run."""
    a_run = first_column(section(JSON, "run, check, report, demo"))
    assert list(program("completion", "bash", "--json").object) == first_column(section(JSON, "completion"))
    for command in (("check", "changes.xlsx"), ("run", "changes.xlsx", "--compare")):
        assert list(program(*command, "--json").object) == a_run
    folder = next((program.folder / "runs").iterdir())
    assert list(program("report", folder, "--json").object) == a_run
    columns = program("columns", "changes.xlsx", "--json").object
    assert list(columns) == first_column(section(JSON, "columns"))
    meanings = dict(tables(section(JSON, "columns"))[0])
    assert list(columns["columns"][0]) == codes(meanings["`columns`"])
    assert list(program("undo", folder, "--json").object) == first_column(section(JSON, "undo"))
    runs = program("runs", "--json").object
    assert list(runs) == first_column(section(JSON, "runs"))
    assert sorted(runs["runs"][0]) == sorted(first_column(section(JSON, "runs"), 1))
    (row,) = (line for line in program("report", folder, "--rows").lines if line["row"] == 2)
    of_a_row = section(JSON, "report --row, report --rows")
    assert list(row) == first_column(of_a_row)
    assert list(row["attempts"][0]) == first_column(of_a_row, 1)
    explained = program("report", folder, "--row", "2", "--json").object
    assert [name for name in explained if name in row] == list(row)
    assert list(program("template", "new.xlsx", "--json").object) == first_column(section(JSON, "template"))
    document = str(SAMPLES / "second-endpoint" / "customers.openapi.yaml")
    listed = program("endpoints", document, "--json").object
    assert list(listed) == ["operations"]
    assert list(listed["operations"][0]) == [
        name for row in tables(section(JSON, "endpoints"))[0] for name in codes(row[0])
    ]
    init = program("init", "new.yaml", "--base-url", "https://nexus.example.com", "--yes", "--json").object
    assert list(init) == first_column(section(JSON, "init"))
    doctor = program("doctor", "--json").object
    assert list(doctor) == first_column(section(JSON, "doctor"))
    assert list(doctor["checks"][0]) == first_column(section(JSON, "doctor"), 1)


def test_the_fields_of_an_error_are_those_that_are_printed(program: Inside) -> None:
    """And those of the object in it."""
    printed = program("check", "missing.xlsx", "--json").object
    error = tables(section(JSON, "Errors"))[0]
    assert list(printed) == [codes(name)[0] for name, _ in error]
    assert list(printed["error"]) == codes(error[1][1])


def test_the_fields_of_a_night_are_those_that_are_printed(program: Inside) -> None:
    """And those of each of its files, one that is not ready included."""
    (program.folder / "inbox" / "changes.xlsx.part").touch()
    night = program("nightly", "--json").object
    assert list(night) == first_column(section(JSON, "nightly"))
    of_a_run = first_column(section(JSON, "run, check, report, demo"))
    assert list(night["files"][0]) == of_a_run + first_column(section(JSON, "nightly"), 1)


def test_the_files_of_a_run_are_those_that_are_there(program: Inside) -> None:
    """Under these names, with the run's time in place of the example's."""
    program("run", "changes.xlsx", "--annotate")
    folder = next((program.folder / "runs").iterdir())
    written = {re.sub(r"\d{8}-\d{6}", "20261231-235900", path.name) for path in folder.iterdir()}
    assert set(first_column(section(FILES, "The folder of a run"))) == written


def test_the_extensions_of_a_description_are_those_that_are_read() -> None:
    """Every one that the program looks for has its row."""
    nodes = Path(batch_updater.endpoint.__file__).with_name("document.py")
    read = set(re.findall(r"_key\(\"(x-[a-z-]+)\"", text_of(nodes)))
    documented = [codes(row[1])[0] for row in tables(section(DOCS / "endpoints.md", "Extensions"))[0]]
    assert sorted(documented) == sorted(read)


def test_the_arguments_and_attributes_of_the_library_are_those_of_its_page() -> None:
    """Of its functions, what they return, what progress is told, and the errors."""
    page = DOCS / "library.md"
    documented = tables(section(page, "run, arun and check"))[0]
    for function in (run, arun, check):
        of_it = [codes(name)[0] for name, of, _ in documented if of == "all" or function.__name__ in codes(of)]
        assert sorted(["source", "config", *of_it]) == sorted(inspect.signature(function).parameters)
    attributes = [name.removesuffix("()") for name in first_column(section(page, "The result"))]
    assert sorted(attributes) == sorted(name for name in vars(Run) if not name.startswith("_"))
    causes = next(row for row in tables(section(page, "The result"))[0] if row[0] == "`causes`")
    assert sorted(codes(causes[1])) == sorted(field.name for field in fields(Cause))
    assert tuple(first_column(section(page, "Progress"))) == Progress.__struct_fields__
    errors = {name for name in codes(section(page, "Errors")) if name.endswith("Error")}
    assert errors == {name for name in batch_updater.__all__ if name.endswith("Error")}
    of_undo = {name for name in dir(Undo) if not name.startswith("_")}
    assert of_undo <= set(codes(section(page, "undo")))
