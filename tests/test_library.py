"""The library: run and check on files and DataFrames."""

from __future__ import annotations

import asyncio
import gc
import json
import shutil
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import openpyxl
import pandas as pd
import pytest
import yaml

import batch_updater
from batch_updater import (
    BatchUpdaterError,
    ConfigError,
    GuardError,
    InputError,
    OpenQuestionsError,
    Progress,
    Run,
    UsageError,
    errors,
    library,
)
from batch_updater.sandbox.server import Sandbox, SandboxSettings

FRAME = pd.DataFrame(
    {
        "OpportunityId": [11, 12, 13],
        "opportunityType": ["Pre", "Pre", "Pst"],
        "OpportunityID": ["00123", None, "x"],
        "SalesRevenue": [1.5, float("nan"), 3.0],
        "PendingCloseDate": pd.to_datetime(["2026-03-31", "2026-04-01", ""]),
    }
)


def configuration(folder: Path, url: str) -> dict[str, object]:
    (folder / "token").write_text("sandbox-token", encoding="ascii")
    return {
        "api": {"base_url": url, "token": f"file:{folder / 'token'}"},
        "sending": {"rate_per_s": 1000},
        "results": {"folder": str(folder / "runs")},
    }


def test_a_frame_is_checked_without_sending() -> None:
    """`check` judges every row of a DataFrame; blanks of any kind are blank."""
    result = batch_updater.check(FRAME)
    assert {kind: count for kind, count in result.outcomes.items() if count} == {"planned": 2, "invalid": 1}
    assert result.outcomes["planned"] == 2
    assert (result.exit_code, result.folder, result.results) == (1, None, None)
    frame = result.frame()
    assert list(frame["Outcome"]) == ["planned", "planned", "invalid"]
    assert frame["OpportunityID"][0] == "00123"
    assert "'Pst'" in frame["Message"][2]


def test_a_frame_is_sent(tmp_path: Path) -> None:
    """`run` sends the good rows with their values and returns all outcomes."""
    with Sandbox() as sandbox:
        result = batch_updater.run(FRAME, configuration(tmp_path, sandbox.url))
        bodies = sorted(received.body for received in sandbox.received)
    assert (result.outcomes["updated"], result.outcomes["invalid"]) == (2, 1)
    assert bodies == [
        b'{"OpportunityID": "00123", "SalesRevenue": 1.5, "PendingCloseDate": "2026-03-31"}',
        b'{"PendingCloseDate": "2026-04-01"}',
    ]
    assert result.results
    assert result.results.exists()
    assert result.stopped is None
    assert list(result.frame()["HTTP status"]) == [200, 200, pd.NA]


def _interpreter() -> tuple[object, ...]:
    """Return what a run sets for its time."""
    return gc.get_threshold(), gc.get_freeze_count(), sys.getswitchinterval()


def test_the_interpreter_is_left_as_it_was(tmp_path: Path) -> None:
    """A process that uses the library goes on collecting garbage and switching threads as before."""
    before = _interpreter()
    with Sandbox() as sandbox:
        batch_updater.run(FRAME, configuration(tmp_path, sandbox.url))
    assert _interpreter() == before


def test_a_notebook_that_runs_a_loop_can_use_it(tmp_path: Path) -> None:
    """Inside a running event loop `run` works as well."""

    async def cell() -> int:
        return batch_updater.run(FRAME[:2], configuration(tmp_path, sandbox.url)).exit_code

    with Sandbox() as sandbox:
        assert asyncio.run(cell()) == 0


def test_a_wrong_frame_is_refused(tmp_path: Path) -> None:
    """A frame without the required columns raises, and names what is missing."""
    with pytest.raises(BatchUpdaterError, match="opportunityType"):
        batch_updater.check(pd.DataFrame({"OpportunityId": [1], "StageName": ["x"]}))
    with pytest.raises(BatchUpdaterError, match="There is no file"):
        batch_updater.check(tmp_path / "nowhere.csv")


def test_runs_in_threads_know_nothing_of_each_other(tmp_path: Path) -> None:
    """Two runs at once: each has the log of its own rows, and the interpreter is left as it was."""
    before = _interpreter()

    def rows(name: str, count: int) -> tuple[batch_updater.Run, list[int]]:
        (tmp_path / name).mkdir()
        frame = pd.DataFrame({"Id": range(1, count + 1), "Type": "Pre", "OpportunityName": name})
        result = batch_updater.run(frame, configuration(tmp_path / name, sandbox.url) | {"sending": {"rate_per_s": 50}})
        assert result.folder
        lines = (result.folder / "run.log").read_text(encoding="utf-8").splitlines()
        return result, sorted(json.loads(line)["row"] for line in lines if '"attempt"' in line)

    with Sandbox() as sandbox, ThreadPoolExecutor(2) as pool:
        for result, logged in pool.map(rows, ("a", "b"), (40, 60)):
            assert result.exit_code == 0
            assert logged == list(range(2, result.outcomes["updated"] + 2))
    assert _interpreter() == before


def test_a_frame_is_never_made_of_another_database(tmp_path: Path) -> None:
    """If the run's folder was changed or has gone, `frame` says so: outcomes are beside the rows that they are of."""
    with Sandbox() as sandbox:
        result = batch_updater.run(FRAME[:2], configuration(tmp_path, sandbox.url))
    assert result.folder
    (result.folder / "run.sqlite").write_bytes(b"no database")
    with pytest.raises(InputError, match="database"):
        result.frame()
    shutil.rmtree(result.folder)
    with pytest.raises(InputError, match="No such file"):
        result.frame()


def test_what_cannot_be_run_is_refused_by_name(tmp_path: Path) -> None:
    """A configuration without an address, text that is none, and what is neither a path nor a DataFrame."""
    with pytest.raises(ConfigError, match="which API"):
        batch_updater.run(FRAME, {"results": {"folder": str(tmp_path / "runs")}})
    assert not (tmp_path / "runs").exists()
    with pytest.raises(InputError, match=r"'\\ud800'"):
        batch_updater.check(FRAME.assign(OpportunityID="\ud800"))
    with pytest.raises(TypeError, match="not bytes"):
        batch_updater.check(b"a.csv")  # type: ignore[arg-type]  # that is the point


def test_other_readers_of_yaml_in_the_process_are_left_alone(tmp_path: Path) -> None:
    """Reading a configuration and a description changes nothing for a program that reads YAML of its own."""
    (tmp_path / "config.yaml").write_text("input: {sheet: Changes}\n", encoding="utf-8")
    batch_updater.check(FRAME, tmp_path / "config.yaml")
    for loader in (yaml.SafeLoader, yaml.CSafeLoader):
        assert yaml.load("[0.25, 2026-03-31, NO, 010]", loader) == [0.25, date(2026, 3, 31), False, 8]  # noqa: S506


def test_the_package_exports_the_library_and_nothing_else() -> None:
    """Its functions, what they return and every error that they raise; the errors of commands stay out."""
    raised = {
        name
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, errors.BatchUpdaterError)
    }
    functions = {"arun", "check", "run", "undo", "OpenQuestionsError", "Progress", "Run", "Undo"}
    assert set(batch_updater.__all__) == functions | raised - {"EndedEarlyError"}
    assert list(batch_updater.__all__) == sorted(batch_updater.__all__)
    assert set(batch_updater.__all__) <= set(dir(batch_updater))
    for name in batch_updater.__all__:
        assert getattr(batch_updater, name) is getattr(errors if name in raised else library, name)
    with pytest.raises(AttributeError, match="no attribute 'write_undo'"):
        batch_updater.write_undo  # noqa: B018


def test_importing_the_package_is_cheap() -> None:
    """Pandas and aiohttp are imported where they are used."""
    code = "import batch_updater, sys; print(sorted({'pandas', 'aiohttp', 'pydantic'} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout == "[]\n"


def test_a_run_is_shown_by_how_it_ended(tmp_path: Path) -> None:
    """In a console or a notebook: what it was of, the verdict, the exit code and its folder."""
    assert repr(batch_updater.check(FRAME)) == (
        "<check of DataFrame: '2 of 3 rows are good. 1 needs you.', exit_code=1>"
    )
    with Sandbox() as sandbox:
        result = batch_updater.run(FRAME, configuration(tmp_path, sandbox.url))
    assert repr(result) == (
        f"<run of DataFrame: '2 of 3 rows were updated. 1 needs you.', exit_code=1, folder={str(result.folder)!r}>"
    )


def test_a_frame_keeps_the_callers_index_and_types(tmp_path: Path) -> None:
    """Rows are found by their index, and columns have the caller's types; changes to the frame do not reach it."""
    frame = FRAME.set_index(pd.Index(["a", "b", "b"])).assign(Kind=pd.Categorical(["x", "y", "x"]))
    with Sandbox() as sandbox:
        result = batch_updater.run(frame, configuration(tmp_path, sandbox.url))
    expected = frame.copy()
    frame.iloc[0, list(frame.columns).index("SalesRevenue")] = 0.0
    told = result.frame()
    assert list(told.index) == ["a", "b", "b"]
    pd.testing.assert_frame_equal(told[list(expected.columns)], expected)
    assert list(told["Row"]) == [2, 3, 4]
    dtypes = told.dtypes.astype(str)
    results = ["Row", "Outcome", "HTTP status", "Message", "Attempts", "Sent at", "Seconds"]
    assert list(dtypes[results]) == [
        "int64", "category", "Int64", "str", "int64", "datetime64[us, UTC]", "Float64",
    ]  # fmt: skip
    assert list(told["Outcome"].cat.categories) == list(result.outcomes)
    assert told["HTTP status"].isna().tolist() == told["Sent at"].isna().tolist() == [False, False, True]
    assert abs(datetime.now(UTC) - told["Sent at"].iloc[0]).total_seconds() < 600


def test_blank_rows_of_a_frame_leave_the_others_at_their_index() -> None:
    """They are no rows, as in a file."""
    frame = pd.DataFrame(
        {"Id": [1, None, 3], "Type": ["Pre", None, "x"], "Note": ["a\nb", None, ""]}, index=[10, 20, 30]
    )
    told = batch_updater.check(frame, {"input": {"constants": {"SalesRevenue": "1"}}}).frame()
    assert [(index, outcome) for index, outcome in told["Outcome"].items()] == [(10, "planned"), (30, "invalid")]
    assert list(told["Row"]) == [2, 4]


def test_an_index_with_a_name_is_a_column(tmp_path: Path) -> None:
    """Every level that has one; a name that a column has as well is refused, and a row still has its index."""
    indexed = FRAME.set_index("OpportunityId")
    result = batch_updater.check(indexed)
    assert result.outcomes["planned"] == 2
    pd.testing.assert_index_equal(result.frame().index, indexed.index)
    levels = FRAME.set_index(["OpportunityId", "opportunityType"]).set_index(pd.Index([7, 8, 9]), append=True)
    assert batch_updater.check(levels).outcomes == result.outcomes
    with pytest.raises(InputError, match="both named 'OpportunityId'"):
        batch_updater.check(FRAME.set_index("OpportunityId", drop=False))
    assert not list(tmp_path.iterdir())


def test_columns_of_several_levels_are_refused() -> None:
    """With what to do about it, which works."""
    frame = FRAME[:2].set_axis(pd.MultiIndex.from_product([["deal"], FRAME.columns]), axis="columns")
    with pytest.raises(InputError, match="2 levels") as caught:
        batch_updater.check(frame)
    assert "frame.columns.map(' '.join)" in caught.value.remedy
    flat = frame.set_axis(frame.columns.map(" ".join).str.removeprefix("deal "), axis="columns")
    assert batch_updater.check(flat).outcomes["planned"] == 2


def test_the_columns_of_a_file_have_types_where_all_cells_are_of_one(tmp_path: Path) -> None:
    """Whole numbers, dates, truth values and texts; what is mixed, and money, stays what it is in each cell."""
    book = openpyxl.Workbook()
    sheet = book.worksheets[0]
    sheet.append(["Id", "Type", "SalesRevenue", "PendingCloseDate", "Note", "Flag", "Share", "Count"])
    sheet.append([1, "Pre", 1.5, date(2026, 3, 31), "x", True, 0.4, 7])
    sheet.append([2, "Pre", 2.25, None, 5, None, None, None])
    sheet["G2"].number_format = "0%"
    book.save(tmp_path / "c.xlsx")
    told = batch_updater.check(tmp_path / "c.xlsx").frame()
    dtypes = dict(told.dtypes.astype(str))
    assert [dtypes[name] for name in ("Id", "Type", "SalesRevenue", "PendingCloseDate", "Note", "Flag", "Count")] == [
        "Int64", "str", "object", "datetime64[us]", "object", "boolean", "Int64",
    ]  # fmt: skip
    assert list(told["SalesRevenue"]) == [Decimal("1.5"), Decimal("2.25")]
    assert list(told["Note"]) == ["x", 5]
    assert told["PendingCloseDate"][0] == pd.Timestamp(2026, 3, 31)
    assert told["Share"][0] == "40%"
    assert list(told.index) == [0, 1]


def test_the_options_of_the_commands_are_keywords(tmp_path: Path) -> None:
    """Sheet, header row, constants, limit, compare, results, guards; the same as on the command line."""
    book = openpyxl.Workbook()
    book.worksheets[0].append(["nothing here"])
    sheet = book.create_sheet("Q1")
    for row in (["Quarter 1"], ["Id", "SalesRevenue"], [1, 100], [2, 200], [3, 300]):
        sheet.append(row)
    book.save(tmp_path / "c.xlsx")
    reading: dict[str, Any] = {"sheet": "q1", "header_row": 2, "constants": {"opportunityType": "Pre"}}
    checked = batch_updater.check(tmp_path / "c.xlsx", **reading, results=tmp_path / "checked.xlsx")
    assert (checked.outcomes["planned"], checked.results) == (3, tmp_path / "checked.xlsx")
    with Sandbox() as sandbox:
        config = configuration(tmp_path, sandbox.url)
        first = batch_updater.run(tmp_path / "c.xlsx", config, **reading, limit=1, results=tmp_path / "first.xlsx")
        assert (first.stopped, first.outcomes["updated"]) == ("limit", 1)
        assert first.results == tmp_path / "first.xlsx"
        compared = batch_updater.check(tmp_path / "c.xlsx", config, **reading, compare=True, limit=2)
        assert (compared.outcomes["unchanged"], compared.outcomes["planned"]) == (1, 1)
        assert list(compared.frame()["Outcome"]) == ["unchanged", "planned", "not_sent"]
        guarded = config | {"guards": {"rows": 2}}
        with pytest.raises(GuardError, match="3 rows"):
            batch_updater.run(tmp_path / "c.xlsx", guarded, **reading, restart=True)
        last = batch_updater.run(
            tmp_path / "c.xlsx", guarded, **reading, restart=True, compare=True, override_guards=True
        )
        assert (last.outcomes["unchanged"], last.outcomes["updated"]) == (1, 2)
        methods = [received.method for received in sandbox.received]
        undone = batch_updater.undo(last, config)
        assert [received.method for received in sandbox.received] == methods
        assert batch_updater.undo(None, config, results=tmp_path / "undo.xlsx").path == tmp_path / "undo.xlsx"
        assert last.folder
        assert batch_updater.undo(last.folder.name, config).rows == undone.rows == 2
        assert batch_updater.run(undone.path, config).outcomes["updated"] == 2
    assert undone.verdict.startswith("2 records can be set back.")


def test_what_cannot_be_undone_or_limited_is_refused(tmp_path: Path) -> None:
    """A check changed nothing, and without comparing it reads no records."""
    with pytest.raises(UsageError, match="A check cannot be undone"):
        batch_updater.undo(batch_updater.check(FRAME))
    with pytest.raises(UsageError, match="There are no runs"):
        batch_updater.undo(None, {"results": {"folder": str(tmp_path)}})
    for asked in ({"limit": 1}, {"progress": print}):
        with pytest.raises(UsageError, match="records that are read"):
            batch_updater.check(FRAME, **asked)


@pytest.mark.parametrize("wrong", [{"limit": 0}, {"limit": -1}, {"limit": 2.5}, {"header_row": 0}])
def test_numbers_that_the_command_line_refuses_are_refused(tmp_path: Path, wrong: dict[str, Any]) -> None:
    """In its words, before anything is read or sent."""
    (name, number), *_ = wrong.items()
    for function in (batch_updater.run, batch_updater.check):
        with pytest.raises(UsageError, match=rf"Argument {name}: {number!r} is not a whole number above 0\."):
            function(tmp_path / "missing.csv", **wrong)


def test_answers_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    """None of them is passed over, as a key with a typo would be; the message is in the words of a layout's file."""
    (tmp_path / "c.csv").write_text("Id,Type,StageName\n1,Pre,Prospect\n", encoding="utf-8")
    for answers, why in (
        ({"colums": {"StageName": None}}, "colums is none of its keys (did you mean columns?)"),
        ({"date_order": {"Close": "YMD"}}, "date_order of 'Close' must be DMY, MDY or none"),
        ({"header_row": "first"}, "header_row must be a number"),
        ({"columns": ["StageName"]}, "columns must be a list of `header: value` pairs"),
    ):
        with pytest.raises(batch_updater.UsageError) as raised:
            batch_updater.check(tmp_path / "c.csv", answers=answers)
        assert raised.value.message == f"answers cannot be used: {why}."


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"Id": "Nope"}, "answers={'columns': {'Id': 'Nope'}} names no field."),
        (
            {"Id": "OpportunityId", "id": None},
            (
                "answers={'columns': {'Id': 'OpportunityId'}} and answers={'columns': {'id': None}} "
                "contradict each other: both are about column A1."
            ),
        ),
    ],
)
def test_answers_that_cannot_be_used_are_named_as_the_keyword_gives_them(
    tmp_path: Path, columns: dict[str, str | None], message: str
) -> None:
    """A program has typed no option."""
    (tmp_path / "c.csv").write_text("Id,Type,StageName\n1,Pre,Won\n", encoding="utf-8")
    with pytest.raises(InputError) as raised:
        batch_updater.check(tmp_path / "c.csv", answers={"columns": columns})
    assert raised.value.message == message


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"limit": 3}, "limit is about records that are read."),
        ({"progress": print}, "progress is about records that are read."),
        ({"limit": 3, "progress": print}, "limit and progress are about records that are read."),
    ],
)
def test_a_keyword_that_needs_compare_is_named_alone(tmp_path: Path, given: dict[str, Any], message: str) -> None:
    """And both are named only if both were given."""
    with pytest.raises(UsageError) as raised:
        batch_updater.check(tmp_path / "c.csv", **given)
    assert (raised.value.message, raised.value.remedy) == (message, "Add compare=True.")


def test_open_questions_name_the_keywords_that_answer_them(tmp_path: Path) -> None:
    """Of sheet, columns, cells and rows; each line of the remedy is typed as it is, and answers its question."""
    book = openpyxl.Workbook()
    for name in ("Q1", "Q2"):
        sheet = book.create_sheet(name)
        sheet.append(["Id", "Type", "Stage", "Close"])
        sheet.append([1, "Pre", "Prospect", "01/02/2026"])
        sheet.append([2, "Pre", "Prospect", "02/03/2026"])
        sheet.row_dimensions[3].hidden = True
    del book["Sheet"]
    book.save(tmp_path / "c.xlsx")
    given, answers, typed = dict[str, Any](), dict[str, Any](), list[str]()
    with Sandbox() as sandbox:
        config = configuration(tmp_path, sandbox.url)

        def attempt() -> Run | OpenQuestionsError:
            try:
                return batch_updater.run(tmp_path / "c.xlsx", config, **given, answers=answers)
            except OpenQuestionsError as error:
                return error

        while isinstance(ended := attempt(), OpenQuestionsError) and len(typed) < 10:
            assert ended.__notes__ == [ended.remedy]
            assert "--" not in ended.remedy
            for question in ended.questions:
                text = question.choices[0].text
                line = next(line for line in ended.remedy_lines if line.endswith(f"   {text}"))
                typed.append(line.removesuffix(text).strip())
                more = eval(f"dict({typed[-1]})")  # noqa: S307  (what a person would type)
                for name, answer in more.pop("answers", {}).items():
                    answers[name] = {**answers.get(name, {}), **answer} if isinstance(answer, dict) else answer
                given |= more
    assert isinstance(ended, Run)
    assert ended.outcomes["updated"] == 1
    assert typed[0] == "sheet='Q1'"
    assert {"answers={'columns': {'Stage': 'StageName'}}", "answers={'hidden_rows': 'leave out'}"} <= set(typed)
    assert answers["date_order"] == {"Close": "DMY"}


def numbered(count: int) -> pd.DataFrame:
    return pd.DataFrame({"Id": range(1, count + 1), "Type": "Pre", "OpportunityName": "x"})


def test_progress_is_told_of_every_row(tmp_path: Path) -> None:
    """How many rows have their outcome, of how many, and which one has just got it."""
    told: list[Progress] = []
    with Sandbox() as sandbox:
        config = configuration(tmp_path, sandbox.url)
        batch_updater.run(numbered(7), config, limit=5, progress=told.append)
        assert [(one.done, one.total, one.outcome) for one in told] == [(at, 5, "updated") for at in range(1, 6)]
        assert sorted(one.row for one in told) == [2, 3, 4, 5, 6]
        told.clear()
        batch_updater.check(numbered(3), config, compare=True, progress=told.append)
    assert [(one.done, one.total, one.outcome) for one in told] == [
        (1, 3, "unchanged"),
        (2, 3, "unchanged"),
        (3, 3, "unchanged"),
    ]


def test_an_exception_of_progress_stops_the_run_cleanly(tmp_path: Path) -> None:
    """What is in flight gets its outcome, the results are written, and then the exception is raised."""

    def fail(progress: Progress) -> None:
        raise ValueError(f"row {progress.row}")

    with Sandbox(SandboxSettings(latency_ms=20)) as sandbox:
        config = configuration(tmp_path, sandbox.url) | {"sending": {"rate_per_s": 50}}
        with pytest.raises(ValueError, match="row 2") as caught:
            batch_updater.run(numbered(40), config, progress=fail)
        assert len(sandbox.received) < 40
        (folder,) = (tmp_path / "runs").iterdir()
        assert list(folder.glob("*-results-*.xlsx"))
        assert str(folder) in caught.value.__notes__[0]
        assert batch_updater.run(numbered(40), config).exit_code == 0
        assert len(sandbox.received) == 40


def test_a_run_leaves_the_callers_loop_free(tmp_path: Path) -> None:
    """Progress is told in the loop's own thread while the run goes on, and several runs go on at once."""

    async def main() -> None:
        halfway = asyncio.Event()
        loop = asyncio.get_running_loop()

        def told(progress: Progress) -> None:
            assert asyncio.get_running_loop() is loop
            if progress.done == 5:
                halfway.set()

        runs = [asyncio.create_task(batch_updater.arun(numbered(20), config, progress=told)) for config in configs]
        await halfway.wait()
        assert not any(one.done() for one in runs)
        assert [result.outcomes["updated"] for result in await asyncio.gather(*runs)] == [20, 20]

    with Sandbox() as one, Sandbox() as other:
        configs = []
        for name, sandbox in (("one", one), ("other", other)):
            (tmp_path / name).mkdir()
            configs.append(configuration(tmp_path / name, sandbox.url) | {"sending": {"rate_per_s": 50}})
        asyncio.run(main())


def test_cancelling_a_run_drains_it_as_ctrl_c_does(tmp_path: Path) -> None:
    """No row is left in doubt, the workbook is written before the caller goes on, and the next run sends the rest."""

    async def main() -> None:
        started = asyncio.Event()

        def told(progress: Progress) -> None:
            if progress.done == 3:
                started.set()

        task = asyncio.create_task(batch_updater.arun(numbered(60), config, progress=told))
        await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        (folder,) = (tmp_path / "runs").iterdir()
        assert list(folder.glob("*-results-*.xlsx"))

    with Sandbox(SandboxSettings(latency_ms=50)) as sandbox:
        config = configuration(tmp_path, sandbox.url) | {"sending": {"rate_per_s": 100}}
        asyncio.run(main())
        assert 3 <= len(sandbox.received) < 60
        result = batch_updater.run(numbered(60), config)
        assert result.outcomes["updated"] == 60
        assert len(sandbox.received) == 60


def test_a_run_cancelled_twice_ends_at_once(tmp_path: Path) -> None:
    """As by a second Ctrl-C: neither the answers nor the workbook are awaited."""

    async def main() -> None:
        task = asyncio.create_task(batch_updater.arun(frame, config))
        await asyncio.to_thread(two_are_hanging)
        while not task.done():
            task.cancel()
            await asyncio.sleep(0.01)
        assert task.cancelled()
        (folder,) = (tmp_path / "runs").iterdir()
        assert not list(folder.glob("*-results-*.xlsx"))

    def two_are_hanging() -> None:
        while len(sandbox.received) < 3:
            time.sleep(0.01)

    frame = numbered(3).assign(OpportunityName=["x", "fault:hang x", "fault:hang x"])
    with Sandbox() as sandbox:
        config = configuration(tmp_path, sandbox.url) | {"sending": {"rate_per_s": 100, "drain_s": 600}}
        asyncio.run(main())


@pytest.mark.parametrize("cancelled", ["never", "before", "after"])
def test_an_exception_of_progress_reaches_who_awaits_the_run(tmp_path: Path, cancelled: str) -> None:
    """With or without a cancel before or after it: what is in flight is awaited, and the workbook is written."""

    async def main() -> None:
        failed, is_cancelled = asyncio.Event(), False

        def fail(progress: Progress) -> None:
            nonlocal is_cancelled
            if cancelled == "before" and not is_cancelled:
                if len(sandbox.received) > progress.done > 1:  # the next one is awaited
                    is_cancelled = True
                    task.cancel()
            elif progress.done > 2 and not failed.is_set():
                failed.set()
                raise ValueError("3 done")

        task = asyncio.create_task(batch_updater.arun(numbered(40), config, progress=fail))
        if cancelled == "after":
            await failed.wait()
            task.cancel()
        with pytest.raises(ValueError, match="3 done") as caught:
            await task
        (folder,) = (tmp_path / "runs").iterdir()
        assert str(folder) in caught.value.__notes__[0]
        assert list(folder.glob("*-results-*.xlsx"))

    with Sandbox(SandboxSettings(latency_ms=100)) as sandbox:
        config = configuration(tmp_path, sandbox.url) | {"sending": {"rate_per_s": 50}}
        asyncio.run(main())
        assert len(sandbox.received) < 40
        assert batch_updater.run(numbered(40), config).exit_code == 0
        assert len(sandbox.received) == 40


def test_a_run_cancelled_before_it_sends_leaves_nothing(tmp_path: Path) -> None:
    """Nothing is sent and no folder is left."""

    async def main() -> None:
        loop, turn = asyncio.get_running_loop(), threading.Event()
        loop.set_default_executor(ThreadPoolExecutor(1))
        taken = loop.run_in_executor(None, turn.wait)  # the thread of the run: it comes to nothing before its turn
        task = asyncio.create_task(batch_updater.arun(numbered(5), config))
        await asyncio.sleep(0)  # it has begun
        task.cancel()
        for _ in range(5):  # turns of the event loop, in which the run hears of it
            await asyncio.sleep(0)
        turn.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        await taken

    with Sandbox() as sandbox:
        config = configuration(tmp_path, sandbox.url)
        asyncio.run(main())
        assert not sandbox.received
    assert not list((tmp_path / "runs").iterdir())


def test_errors_of_an_awaited_run_are_raised(tmp_path: Path) -> None:
    """As by `run`."""

    async def main() -> Run:
        return await batch_updater.arun(tmp_path / "missing.csv", configuration(tmp_path, "http://127.0.0.1:9"))

    with pytest.raises(InputError, match="There is no file"):
        asyncio.run(main())


def test_a_notebook_can_compare(tmp_path: Path) -> None:
    """Inside a running event loop `check` works with and without reading records."""

    async def cell() -> list[str]:
        result = batch_updater.check(numbered(2), configuration(tmp_path, sandbox.url), compare=True)
        return [*result.frame()["Outcome"], *batch_updater.check(numbered(1)).frame()["Outcome"]]

    with Sandbox() as sandbox:
        assert asyncio.run(cell()) == ["planned", "planned", "planned"]
