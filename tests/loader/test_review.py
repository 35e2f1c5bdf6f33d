from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from batch_updater.loader.review import RowNumbers
from tests.loader.described import csv_text, table_of

if TYPE_CHECKING:
    from pathlib import Path


@given(st.lists(st.integers(1, 1_048_576), max_size=40), st.integers(1, 1_048_576))
def test_row_numbers_are_a_set(numbers: list[int], other: int) -> None:
    """What was added is in it, once, and nothing else."""
    rows = RowNumbers()
    for number in numbers:
        rows.add(number)
    assert len(rows) == len(set(numbers))
    assert all(number in rows for number in numbers)
    assert (other in rows) == (other in numbers)
    assert "1" not in rows


IDS = st.sampled_from(["1", "2", "3", "4", "x", ""])
CELLS = st.sampled_from(["", "5", "n/a", "03/04/2025", "2025-03-04"])


@hypothesis_settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(IDS, CELLS, CELLS), max_size=12), st.sampled_from(["reject", "in_order"]))
def test_the_second_look_at_doubtful_rows_sees_what_a_whole_one_sees(
    tmp_path: Path, rows: list[tuple[str, str, str]], duplicates: str
) -> None:
    """Leaving out the rows without doubt changes no verdict, and those left out are jobs that wait for none."""
    table = table_of(tmp_path, csv_text([("itemId", "amountDue", "dueDay"), *rows]), duplicates=duplicates)
    review = table.review()
    whole = list(table.judged(review))
    assert list(table.judged(review, only_in_doubt=True)) == [row for row in whole if row.row.number in review.in_doubt]
    sure = [row for row in whole if row.row.number not in review.in_doubt]
    assert all(row.job is not None and row.waits_for is None for row in sure)
    assert review.rows == len(whole)
    assert review.good == sum(row.job is not None and row.waits_for is None for row in whole)
    assert review.waiting == sum(row.waits_for is not None for row in whole)
