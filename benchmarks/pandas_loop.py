"""A reference: the loop over a DataFrame that most scripts are, one request after another with one session.

python -m benchmarks.pandas_loop ROWS.csv RESULTS.xlsx BASE_URL
"""

from __future__ import annotations

import sys

import pandas as pd
import requests


def main() -> None:
    """Send a file and write it again with a column of statuses."""
    source, results, base = sys.argv[1:]
    frame = pd.read_csv(source)
    statuses = []
    with requests.Session() as session:
        session.headers["Authorization"] = "Bearer x"
        for _, row in frame.iterrows():
            answer = session.put(
                f"{base}/api/v2/opportunities/{row['OpportunityId']}",
                params={"opportunityType": row["opportunityType"]},
                json={"OpportunityName": row["OpportunityName"], "SalesRevenue": row["SalesRevenue"]},
                timeout=35,
            )
            answer.json()
            statuses.append(answer.status_code)
    frame.assign(Status=statuses).to_excel(results, index=False)


if __name__ == "__main__":
    main()
