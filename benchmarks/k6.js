// A reference: k6 sends each row of a CSV file once, over as many connections as it has virtual users.
//
// k6 run --env ROWS=/path/to/rows.csv --env BASE_URL=http://127.0.0.1:8080 --env VUS=50 benchmarks/k6.js

import { SharedArray } from "k6/data";
import exec from "k6/execution";
import http from "k6/http";

const HEADERS = { "Authorization": "Bearer x", "Content-Type": "application/json", "Accept": "application/json" };

// No cell that rows.py makes holds a comma, a quote or a line break.
const rows = new SharedArray("rows", () =>
  open(__ENV.ROWS).trim().split(/\r?\n/).slice(1).map((line) => line.split(",")));

export const options = {
  scenarios: {
    rows: {
      executor: "shared-iterations",
      vus: Math.min(Number(__ENV.VUS), rows.length),
      iterations: rows.length,
      maxDuration: "1h",
    },
  },
};

export default function () {
  const [identity, kind, name, revenue] = rows[exec.scenario.iterationInTest];
  const url = `${__ENV.BASE_URL}/api/v2/opportunities/${identity}?opportunityType=${kind}`;
  const body = `{"OpportunityName": ${JSON.stringify(name)}, "SalesRevenue": ${revenue}}`;
  // One name for all rows: k6 would keep statistics for each URL otherwise.
  const answer = http.put(url, body, { headers: HEADERS, redirects: 0, timeout: "35s", tags: { name: "row" } });
  answer.json();
}
