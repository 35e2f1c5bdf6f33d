"""The reference: the fastest plain aiohttp program that we know how to write, without anything that makes it safe.

CSV in, PUTs out over 50 connections, an xlsx or CSV of results: no validation, no database, no retries, no log.

    python -m benchmarks.minimal_loop ROWS.csv RESULTS BASE_URL
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import TYPE_CHECKING

import aiohttp
import uvloop
from yarl import URL

from benchmarks.plain_files import read_rows, write_results

if TYPE_CHECKING:
    from collections.abc import Iterator

CONNECTIONS = 50
HEADERS = {"Authorization": "Bearer x", "Content-Type": "application/json", "Accept": "application/json"}


async def work(
    session: aiohttp.ClientSession, base: str, rows: Iterator[list[str]], done: list[tuple[list[str], int]]
) -> None:
    """Send rows for as long as the shared iterator has any."""
    for row in rows:
        identity, kind, name, revenue = row
        url = URL(f"{base}/api/v2/opportunities/{identity}?opportunityType={kind}", encoded=True)
        body = f'{{"OpportunityName": {json.dumps(name)}, "SalesRevenue": {revenue}}}'.encode()
        async with session.put(url, data=body, allow_redirects=False) as answer:
            json.loads(await answer.read())
            done.append((row, answer.status))


async def send(base: str, rows: Iterator[list[str]]) -> list[tuple[list[str], int]]:
    """Send every row over CONNECTIONS connections; return each row and its status."""
    done: list[tuple[list[str], int]] = []
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=CONNECTIONS, ssl=False),
        headers=HEADERS,
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=35),
        skip_auto_headers=("User-Agent", "Accept-Encoding"),
    )
    async with session:
        await asyncio.gather(*(work(session, base, rows, done) for _ in range(CONNECTIONS)))
    return done


def main() -> None:
    """Send a file and write the outcomes."""
    source, results, base = sys.argv[1:]
    write_results(results, uvloop.run(send(base, read_rows(source))))


if __name__ == "__main__":
    main()
