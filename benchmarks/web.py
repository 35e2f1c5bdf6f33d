"""How quick the page is, and how much memory its server takes, beside what the same costs without it.

Every figure is that of a real server process, asked over one connection that is kept; what a person sees is measured in
Chromium where that and Playwright are installed.
"""

from __future__ import annotations

import http.client
import re
import shutil
import sqlite3
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from html import unescape
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from benchmarks import product
from benchmarks.bench import say
from benchmarks.browser import seen
from benchmarks.measure import FailedError, median_cost
from benchmarks.page_server import Answered, page_server
from benchmarks.rate import RATE_PER_S
from benchmarks.rows import CSV_HEADERS
from benchmarks.servers import serving
from benchmarks.table import Goal, Table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from benchmarks.bench import Bench
    from benchmarks.measure import Cost
    from benchmarks.page_server import Page, Person
    from benchmarks.servers import Server

FAULTY_EVERY = 10
"""Of the rows that are checked, one in so many needs a person."""
PEOPLE = 4
LATENCY_MS = 50
"""Of the API to which a run goes while people use the page."""
TIMES = 20
"""How often a page is asked for in a round."""
LOOKED_AT_EVERY_S = 0.1
THINKS_S = 0.5
"""How long each of the people looks at a page before the next one."""
KIND, AMOUNT = CSV_HEADERS.index("opportunityType"), CSV_HEADERS.index("SalesRevenue")
"""Positions of the columns in which something is wrong."""
HTMX = {"HX-Request": "true"}
PAGE_S, EDIT_S, GRID_S, VISIBLE_S, MOST_MB, RATE_KEPT = 0.3, 0.3, 0.2, 3.0, 200, 0.98


@dataclass(frozen=True, slots=True)
class Asked:
    """One page or form, asked for again and again."""

    name: str
    bound_s: float | None
    """Within how many seconds it should be answered; None: no goal is set."""
    seconds: Sequence[float]
    reference: str
    """What is compared with it; '' if nothing is."""
    reference_s: Sequence[float] = ()

    @property
    def median_s(self) -> float:
        """The middle one."""
        return statistics.median(self.seconds)

    def line(self) -> tuple[str, ...]:
        """Return its line of the table."""
        beside = statistics.median(self.reference_s) if self.reference_s else None
        compared = (f"{beside * 1000:,.1f}", f"{self.median_s / beside:,.1f}") if beside else ("", "")
        return (
            self.name,
            f"{self.median_s * 1000:,.1f}",
            f"{max(self.seconds) * 1000:,.1f}",
            self.reference,
            *compared,
        )


@dataclass(frozen=True, slots=True)
class Crowd:
    """Four people who check a workbook each at the same time, and a fifth who looks around."""

    rows: int
    peak_mb: Sequence[float]
    """Of the server, for each round."""
    alone: Cost
    """`check` of the same workbook on the command line."""
    seconds: Sequence[float]
    """Until all four were checked."""
    pages_s: Sequence[float]
    """Each page that the fifth opened."""
    loop_s: Sequence[float]
    """Each answer that no thread works on: so long the event loop was held up."""


@dataclass(frozen=True, slots=True)
class Meanwhile:
    """A run at a set rate, alone and while people use the page."""

    rows: int
    alone_per_s: float
    used_per_s: float
    pages_s: Sequence[float]


@dataclass(frozen=True, slots=True)
class Web:
    """The page."""

    asked: Sequence[Asked]
    crowd: Crowd
    meanwhile: Meanwhile

    def tables(self) -> list[Table]:
        """Return one line for each page, and one for each other figure."""
        headers = ("The page", "Median ms", "Slowest ms", "Beside", "Median ms of that", "ours / that")
        crowd, sent = self.crowd, self.meanwhile
        lines = [
            (f"{PEOPLE} checks of {crowd.rows:,} x 10 cells of xlsx at once: memory of the server",
             f"{statistics.median(crowd.peak_mb):.0f} MB"),
            ("`check` of one on the command line: memory", f"{crowd.alone.total_mb:.0f} MB"),
            (f"{PEOPLE} checks: until the last ended", f"{statistics.median(crowd.seconds):.1f} s"),
            ("`check` of one on the command line", f"{crowd.alone.wall_s:.1f} s"),
            ("the slowest page of a fifth person meanwhile", _slowest(crowd.pages_s)),
            ("the longest that the event loop was held up meanwhile", _slowest(crowd.loop_s)),
            (f"run of {sent.rows:,} rows at {RATE_PER_S}/s: rate alone", f"{sent.alone_per_s:.2f}/s"),
            (f"the same while {PEOPLE} people use the page", f"{sent.used_per_s:.2f}/s"),
            ("their slowest page", _slowest(sent.pages_s)),
        ]  # fmt: skip
        return [
            Table("The page: answers", headers, [one.line() for one in self.asked]),
            Table("The page: many at once", ("", "Measured"), lines),
        ]

    def goals(self) -> list[Goal]:
        """No one waits for a page, whatever others do, and four people do not need a larger server."""
        answers = [Goal(one.name, "at most", one.bound_s, one.median_s, "{:.3f} s")
                   for one in self.asked if one.bound_s is not None]  # fmt: skip
        crowd, sent = self.crowd, self.meanwhile
        what = f"{PEOPLE} checks of {crowd.rows:,} xlsx rows at once"
        return [
            *answers,
            Goal(f"{what}: peak memory of the server", "under", MOST_MB, statistics.median(crowd.peak_mb), "{:.0f} MB"),
            Goal(f"{what}: slowest page of another person", "at most", PAGE_S, max(crowd.pages_s), "{:.3f} s"),
            Goal(f"rate of a run while {PEOPLE} people use the page / alone", "at least", RATE_KEPT,
                 sent.used_per_s / sent.alone_per_s, "{:.3f}"),
        ]  # fmt: skip


def _slowest(seconds: Sequence[float]) -> str:
    return f"{max(seconds) * 1000:,.0f} ms"


def measured(bench: Bench) -> Web:
    """Measure pages, the check that a person waits for, edits, four people at once, and a run meanwhile."""
    with serving(bench.folder) as api, _bare_page(bench.folder) as bare:
        asked = [*_first_pages(bench, api, bare), *_large_grid(bench, api)]
        crowd = _crowd(bench, api)
    with serving(bench.folder, LATENCY_MS) as api:
        return Web(asked, crowd, _meanwhile(bench, api))


@contextmanager
def _bare_page(folder: Path) -> Iterator[str]:
    """Run the reference for a page."""
    with (
        (folder / "bare.err").open("wb") as errors,
        subprocess.Popen(
            [sys.executable, "-m", "benchmarks.bare_page"], stdout=subprocess.PIPE, stderr=errors, text=True
        ) as process,
    ):  # fmt: skip
        try:
            url = process.stdout.readline().strip() if process.stdout else ""
            if not url:
                raise FailedError("The bare page did not start.")
            yield url
        finally:
            process.terminate()


def _times(ask: Callable[[], Answered], times: int = TIMES) -> list[float]:
    return [_answered(ask()).seconds for _ in range(times)]


def _answered(answer: Answered) -> Answered:
    if answer.status not in {200, 303}:
        raise FailedError(f"The page answers {answer.status}: {answer.text[:500]}")
    return answer


# --- the first page, and the check that a person waits for ---


def _first_pages(bench: Bench, api: Server, bare: str) -> list[Asked]:
    """Ask for the first page of an empty folder and of one with many runs, and let a file be checked there."""
    runs, rows = bench.sizes.web_runs, bench.sizes.web_checked
    source = bench.csv(rows, FAULTY_EVERY)
    empty, full, beside, checks, alone = [list[float]() for _ in range(5)]
    loads, bare_loads, shown = [list[float]() for _ in range(3)]
    for number in range(1, bench.rounds + 1):
        with bench.empty_folder() as folder, page_server(folder, api.url) as page:
            empty += _times(partial(page.person().get, "/"))
        with bench.empty_folder() as folder:
            _make_runs(bench, api, folder / "runs", runs)
            with page_server(folder, api.url) as page:
                person = page.person()
                full += _times(partial(person.get, "/"))
                started_s = time.perf_counter()
                person.wait_for_check(person.upload(source))
                checks.append(time.perf_counter() - started_s)
                if by_eye := seen(page.link, bare, source):
                    loads += by_eye.load_s
                    bare_loads += by_eye.bare_s
                    shown.append(by_eye.check_s)
        beside += _times(partial(_bare_answer, bare))
        with bench.empty_folder() as folder:
            alone.append(product.check(bench.csv(rows), rows, folder).wall_s)
        say(f"first page, round {number}: {empty[-1]:.3f} s, {full[-1]:.3f} s with {runs:,} runs; check of {rows:,} "
            f"rows: {checks[-1]:.2f} s")  # fmt: skip
    bare_name, check_name = "aiohttp.web and Jinja2 alone", "`check` on the command line"
    asked = [
        Asked("first page, no runs yet", PAGE_S, empty, bare_name, beside),
        Asked(f"first page, {runs:,} runs", PAGE_S, full, bare_name, beside),
        Asked(f"check of {rows:,} rows, from the upload on", VISIBLE_S, checks, check_name, alone),
    ]
    if shown:
        asked += [
            Asked(f"first page in Chromium, {runs:,} runs", PAGE_S, loads, bare_name, bare_loads),
            Asked(f"check of {rows:,} rows visible in Chromium", VISIBLE_S, shown, check_name, alone),
        ]
    return asked


def _bare_answer(url: str) -> Answered:
    connection = http.client.HTTPConnection(urlsplit(url).netloc)
    with closing(connection):
        connection.connect()
        started_s = time.perf_counter()
        connection.request("GET", "/")
        answer = connection.getresponse()
        text = answer.read().decode()
        return Answered(answer.status, "", text, time.perf_counter() - started_s)


def _make_runs(bench: Bench, api: Server, folder: Path, count: int) -> None:
    """Send ten rows, and make as many runs of it as there should be."""
    first = bench.folder / "one-run"
    if not first.exists():
        first.mkdir()
        product.send(bench.csv(10), 10, api.url, first)
    (run,) = (path.parent for path in first.glob("*/*/run.sqlite"))
    for number in range(count):
        shutil.copytree(run, folder / f"{run.name}-{number + 2}")


# --- the grid ---


def _large_grid(bench: Bench, api: Server) -> list[Asked]:
    """Page through many rows that need someone, and change them."""
    rows = bench.sizes.web_rows
    source = bench.csv(rows, FAULTY_EVERY)
    with bench.empty_folder() as folder, page_server(folder, api.url) as page:
        person = page.person()
        started_s = time.perf_counter()
        files = person.upload(source)
        person.wait_for_check(files)
        say(f"check of {rows:,} rows on the page: {time.perf_counter() - started_s:.1f} s")
        (database,) = folder.glob("runs/web/*/draft.sqlite")
        queried, written = _queries(database, rows // 2), _writes(folder / "plain.sqlite")
        first_page = person.get(f"{files}/check").text
        causes = dict.fromkeys(unescape(found) for found in re.findall(r'check(\?cause=[^"#]+)', first_page))
        edits, undos = _edits(person, files, rows // 2)
        grids = {
            "first page": "",
            "a page in the middle": f"?after={rows // 2}",
            **{f"of a cause, {number}": query for number, query in enumerate(causes, 1)},
            "its edits": "?edited=1",
        }
        asked = [
            Asked(f"grid of {rows:,} rows: {name}", GRID_S, _times(partial(person.get, f"{files}/check{query}")),
                  "50 rows queried by sqlite3 alone", queried)
            for name, query in grids.items()
        ]  # fmt: skip
        beside = "a row written by sqlite3 alone"
        asked += [
            Asked(f"an edit, {rows:,} rows", EDIT_S, edits, beside, written),
            Asked(f"undo of an edit, {rows:,} rows", EDIT_S, undos, beside, written),
        ]
        for is_few in (True, False):
            count, seconds = _applied(person, files, is_few=is_few)
            bound_s = EDIT_S if is_few else None
            asked.append(
                Asked(f"“Apply to all {count:,} like this”, {rows:,} rows", bound_s, [seconds], beside, written)
            )
            say(f"{asked[-1].name}: {seconds:.2f} s")
        return asked


def _queries(database: Path, after: int) -> list[float]:
    """Return how long it takes to fetch the rows of a page, without anything else."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        statement = "SELECT number, cells, problems FROM rows WHERE number > ? AND state = 'invalid' LIMIT 50"
        return [_timed(lambda: connection.execute(statement, (after,)).fetchall()) for _ in range(TIMES)]


def _writes(path: Path) -> list[float]:
    """Return how long it takes until one row is on disk, without anything else."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("CREATE TABLE edits (row INTEGER, text TEXT)")
        return [_timed(lambda: connection.execute("INSERT INTO edits VALUES (1, 'x')")) for _ in range(TIMES)]


def _timed(work: Callable[[], object]) -> float:
    started_s = time.perf_counter()
    work()
    return time.perf_counter() - started_s


def _edits(person: Person, files: str, after: int) -> tuple[list[float], list[float]]:
    """Correct the amounts of some rows and undo that, as htmx does. Returns the seconds of each."""
    edits, undos = list[float](), list[float]()
    page = person.get(f"{files}/check?after={after}").text
    numbers = [row for row in re.findall(r'id="form-(\d+)"', page) if f'id="cell-{row}-{AMOUNT}"' in page][:TIMES]
    for row in numbers:
        address, form = f"{files}/rows/{row}", _form(person, files, row)
        edits.append(_answered(person.post(address, {**form, f"cell-{AMOUNT}": "12.5"}, **HTMX)).seconds)
        form = _form(person, files, row)
        (edit,) = re.findall(r'name="undo" value="(\d+)"', person.get(f"{files}/check?row={row}").text)
        undos.append(_answered(person.post(address, {**form, "undo": edit}, **HTMX)).seconds)
    return edits, undos


def _applied(person: Person, files: str, *, is_few: bool) -> tuple[int, float]:
    """Type a value into all cells that are like one. Returns how many they were, and the seconds."""
    position, text = (KIND, "Pre") if is_few else (AMOUNT, "12.5")
    page = person.get(f"{files}/check").text
    found = re.search(rf'id="apply-(\d+)-{position}">Apply to all ([\d,]+) like this', page)
    if not found:
        raise FailedError("The grid does not offer to change cells alike together.")
    form = _form(person, files, found[1])
    typed = {name: text if name == f"cell-{position}" else value for name, value in form.items()}
    answer = _answered(person.post(f"{files}/rows/{found[1]}", {**typed, "apply": str(position)}, **HTMX))
    if f'id="row-{found[1]}" class="good"' not in answer.text:
        raise FailedError("The cells alike were not changed.")
    return int(found[2].replace(",", "")), answer.seconds


def _form(person: Person, files: str, row: str) -> dict[str, str]:
    """Return the fields of the form of a row, as it is now."""
    page = person.get(f"{files}/check?row={row}").text
    found = re.search(rf'(?s)<form id="form-{row}".*?</form>', page)
    if not found:
        raise FailedError(f"Row {row} has no form.")
    inputs = [dict(re.findall(r'([\w-]+)="([^"]*)"', tag)) for tag in re.findall(r"<input\b[^>]*>", found[0])]
    fields = {one["name"]: unescape(one.get("value", "")) for one in inputs if one.get("name", "token") != "token"}
    return fields | {unescape(name): "" for name in re.findall(r'<select[^>]*\bname="(cell-[^"]*)"', found[0])}


# --- many at once ---


def _crowd(bench: Bench, api: Server) -> Crowd:
    """Let four people check a workbook each, and a fifth look around."""
    rows = bench.sizes.workbook_in
    source = bench.workbook(rows)
    peaks, seconds, pages, held = [list[float]() for _ in range(4)]
    alone: list[Cost] = []
    for number in range(1, bench.rounds + 1):
        with bench.empty_folder() as folder, page_server(folder, api.url) as page:
            visitor = page.person()
            style = re.findall(r'href="(/static/[^"]+\.css)"', visitor.get("/").text)[0]
            people = [page.person() for _ in range(PEOPLE)]
            started_s = time.perf_counter()
            with _together([partial(_check, person, source) for person in people]) as are_busy:
                while are_busy() or not pages:
                    pages.append(_answered(visitor.get("/")).seconds)
                    held.append(_answered(visitor.get(style)).seconds)
                    time.sleep(LOOKED_AT_EVERY_S)
            seconds.append(time.perf_counter() - started_s)
            peaks.append(page.peak_mb)
        with bench.empty_folder() as folder:
            alone.append(product.check(source, rows, folder))
        say(f"{PEOPLE} checks at once, round {number}: {seconds[-1]:.1f} s, {peaks[-1]:.0f} MB, "
            f"slowest page {max(pages):.3f} s")  # fmt: skip
    return Crowd(rows, peaks, median_cost(alone), seconds, pages, held)


def _check(person: Person, source: Path) -> None:
    person.wait_for_check(person.upload(source))


@contextmanager
def _together(works: Sequence[Callable[[], None]]) -> Iterator[Callable[[], bool]]:
    """Do several things at once; gives what tells whether any is going on. Raises what one of them raised."""
    with ThreadPoolExecutor(PEOPLE) as pool:
        futures = [pool.submit(work) for work in works]
        yield lambda: not all(future.done() for future in futures)
        for future in futures:
            future.result()


def _meanwhile(bench: Bench, api: Server) -> Meanwhile:
    """Send rows at a set rate, first alone and then while people use the page."""
    rows = RATE_PER_S * bench.sizes.web_rate_s
    rates: dict[bool, list[float]] = {False: [], True: []}
    pages = list[float]()
    for number in range(1, bench.rounds + 1):
        for is_used in (False, True):
            with bench.empty_folder() as folder, page_server(folder, api.url, RATE_PER_S) as page:
                person = page.person()
                files = person.upload(bench.csv(rows))
                person.wait_for_check(files)
                pages += _sent(page, person, files, is_used=is_used)
            traffic = api.take(rows)
            if traffic.requests != rows:
                raise FailedError(f"The page sent {traffic.requests} requests for {rows} rows.")
            rates[is_used].append((rows - 1) / (traffic.last_s - traffic.first_s))
        say(f"a run at {RATE_PER_S}/s, round {number}: {rates[False][-1]:.2f}/s, used {rates[True][-1]:.2f}/s")
    return Meanwhile(rows, statistics.median(rates[False]), statistics.median(rates[True]), pages)


def _sent(page: Page, person: Person, files: str, *, is_used: bool) -> list[float]:
    """Send an upload, while people look at pages or not. Returns the seconds of these."""
    person.send(files)

    def is_sent() -> bool:
        return bool(list(page.folder.glob("*/*-results-*.xlsx")))

    pages = list[float]()

    def look_around() -> None:
        visitor = page.person()
        while not pages or not is_sent():
            for path in ("/", f"{files}/check", files, f"{files}/preview"):
                pages.append(_answered(visitor.get(path)).seconds)
                time.sleep(THINKS_S)

    with _together([look_around] * PEOPLE if is_used else []) as are_busy:
        while are_busy() or not is_sent():
            time.sleep(LOOKED_AT_EVERY_S)
    return pages
