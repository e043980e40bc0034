#!/usr/bin/env python3
"""Calltide beside DuckDB and chDB: five questions on the same Parquet files, two threads each, in one run.

    pip install duckdb chdb
    calltide generate --calls 20000000 --days 90 --campaigns 50 --agents 500 --data big
    tests/bench/engines.py calltide big

Calltide is asked over HTTP, through a `query-api` of its own; the others in this process, over exactly the files of the
tables' newest Delta snapshot. Answers are compared (numbers to one part in a million; percentiles are exact everywhere).
Rounds are interleaved; shown are the median seconds and the faster rival's time by Calltide's: above 1, Calltide is faster.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

THREADS = 2
OUTCOMES = """SELECT campaign, direction, count(*) AS n,
  sum(CASE WHEN class = 'connected' THEN 1 ELSE 0 END) AS connected,
  sum(CASE WHEN class = 'unanswered' THEN 1 ELSE 0 END) AS unanswered,
  sum(CASE WHEN class = 'failed' THEN 1 ELSE 0 END) AS failed,
  sum(CASE WHEN status = 'answered' THEN 1 ELSE 0 END) AS answered,
  sum(CASE WHEN status = 'busy' THEN 1 ELSE 0 END) AS busy,
  sum(CASE WHEN status = 'no_answer' THEN 1 ELSE 0 END) AS no_answer,
  sum(CASE WHEN dropped THEN 1 ELSE 0 END) AS dropped,
  avg(wait_ms) AS wait, avg(up_ms) AS up, sum(talk_ms) AS talk
FROM {calls} GROUP BY campaign, direction ORDER BY campaign, direction"""
# Each with the tables in braces and what the dialects say differently as ⟨calltide|duckdb|chdb⟩.
QUERIES = {
    "outcomes by campaign": OUTCOMES,
    "agents of a day by hour": """SELECT agent, ⟨extract(hour FROM offered_at)|extract(hour FROM offered_at)|toHour(offered_at)⟩ AS hour,
  count(*) AS offered, sum(CASE WHEN outcome = 'answered' THEN 1 ELSE 0 END) AS answered, sum(talk_ms) AS talk
FROM {legs} WHERE day = '{day}' GROUP BY 1, 2 ORDER BY 1, 2""",
    "one campaign's week": """SELECT status, count(*) AS n, avg(talk_ms) AS talk FROM {calls}
WHERE campaign = 'campaign-001' AND day >= '{day}' AND day < '{week}' GROUP BY status ORDER BY status""",
    "p95 wait by queue": """SELECT queue, ⟨percentile_cont(0.95) WITHIN GROUP (ORDER BY wait_ms)|quantile_cont(wait_ms, 0.95)|quantileExactInclusive(0.95)(wait_ms)⟩ AS p95
FROM {queue_visits} GROUP BY queue ORDER BY queue""",
    "distinct numbers by campaign": """SELECT campaign, count(DISTINCT number_e164) AS numbers FROM {calls}
GROUP BY campaign ORDER BY campaign""",
}


def snapshot(table):
    """The files of a Delta table's newest version, oldest first, with their day."""
    log = table / "_delta_log"
    files, first = {}, 0
    hint = log / "_last_checkpoint"
    if hint.exists():
        import duckdb

        first = json.loads(hint.read_text())["version"] + 1
        checkpoint = log / f"{first - 1:020}.checkpoint.parquet"
        for (path,) in duckdb.sql(f"SELECT add.path FROM '{checkpoint}' WHERE add.path IS NOT NULL").fetchall():
            files[path] = True
    commits = sorted(path for path in log.glob("*.json") if path.stem.isdigit() and int(path.stem) >= first)
    for commit in commits:
        for line in commit.read_text().splitlines():
            action = json.loads(line)
            if "add" in action:
                files[action["add"]["path"]] = True
            if "remove" in action:
                files.pop(action["remove"]["path"], None)
    return [str(table / path.replace("%3D", "=")) for path in files]


def dialect(sql, which):
    return re.sub(r"⟨(.*?)⟩", lambda found: found.group(1).split("|")[which], sql, flags=re.S)


class Calltide:
    name = "calltide"

    def __init__(self, program, data):
        command = [program, "query-api", "--data", data, "--listen", "127.0.0.1:0"]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("CALLTIDE_")}
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
        line = next(line for line in self.process.stderr if "serving queries" in line)
        self.url = re.search(r"http://[0-9.:]+", line).group(0)

    def rows(self, sql, **names):
        text = dialect(sql, 0).format(calls="calls", legs="legs", queue_visits="queue_visits", **names)
        return list(map(list, (row.values() for row in json.loads(self.ask("/api/v1/sql", text)))))

    def ask(self, path, body=None):
        data = body.encode() if body else None
        return urllib.request.urlopen(urllib.request.Request(self.url + path, data=data), timeout=600).read()

    def close(self):
        self.process.terminate()
        self.process.wait()


class DuckDB:
    name = "duckdb"

    def __init__(self, tables):
        import duckdb

        self.connection = duckdb.connect()
        self.connection.execute(f"SET threads = {THREADS}; SET TimeZone = 'UTC'")
        for table, files in tables.items():
            listed = ", ".join(f"'{file}'" for file in files)
            view = f"CREATE VIEW {table} AS SELECT * FROM read_parquet([{listed}], hive_partitioning = true, hive_types_autocast = false)"
            self.connection.execute(view)

    def rows(self, sql, **names):
        text = dialect(sql, 1).format(calls="calls", legs="legs", queue_visits="queue_visits", **names)
        return [list(row) for row in self.connection.execute(text).fetchall()]

    def close(self):
        self.connection.close()


class ChDB:
    name = "chdb"

    def __init__(self, tables):
        from chdb import session

        self.session = session.Session()
        self.tables = {}
        for table, files in tables.items():
            root = os.path.commonpath(files)
            listed = ",".join(os.path.relpath(file, root) for file in files)
            self.tables[table] = f"file('{root}/{{{listed}}}', Parquet)"

    def rows(self, sql, **names):
        text = dialect(sql, 2).format(**self.tables, **names)
        answer = self.session.query(f"{text} SETTINGS max_threads = {THREADS}, use_hive_partitioning = 1", "JSONCompact")
        return json.loads(str(answer))["data"]

    def close(self):
        self.session.close()


def same(left, right):
    def equal(a, b):
        number = lambda value: isinstance(value, (int, float)) and not isinstance(value, bool)
        try:
            return a == b or abs(float(a) - float(b)) <= 1e-6 * max(abs(float(a)), abs(float(b)))
        except (TypeError, ValueError):
            return a is None and b is None or not number(a) and str(a) == str(b)

    return len(left) == len(right) and all(
        len(a) == len(b) and all(map(equal, a, b)) for a, b in zip(left, right)
    )


def main():
    # Calltide takes a thread for each processor that it may use.
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:THREADS])
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("data")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--without", default="", help="leave out duckdb or chdb")
    asked = parser.parse_args()
    lake = Path(asked.data).resolve() / "lake"
    tables = {name: snapshot(lake / (lake / "CURRENT").read_text().strip() / name) for name in ("calls", "legs", "queue_visits")}
    engines = [Calltide(asked.program, asked.data)]
    engines += [make(tables) for make in (DuckDB, ChDB) if make.name not in asked.without.split(",")]
    differing = 0
    try:
        ours = engines[0]
        days = ours.rows("SELECT DISTINCT day FROM {legs} ORDER BY day")
        middle = len(days) // 2
        names = {"day": days[middle][0], "week": days[min(middle + 7, len(days) - 1)][0]}
        calls = ours.rows("SELECT count(*) FROM {calls}")[0][0]
        print(f"{calls:,} calls, {sum(map(len, tables.values()))} files, {THREADS} threads, {asked.rounds} rounds\n")
        print(f"{'':30}" + "".join(f"{engine.name:>12}" for engine in engines) + f"{'ratio':>9}")
        for question, sql in QUERIES.items():
            seconds = {engine.name: [] for engine in engines}
            answers = {}
            for _ in range(asked.rounds + 1):
                for engine in engines:
                    began = time.perf_counter()
                    answers[engine.name] = engine.rows(sql, **names)
                    seconds[engine.name].append(time.perf_counter() - began)
            # The first round warms caches of all.
            median = {name: statistics.median(times[1:]) for name, times in seconds.items()}
            rivals = [median[engine.name] for engine in engines[1:]]
            ratio = min(rivals) / median["calltide"] if rivals else float("nan")
            print(f"{question:30}" + "".join(f"{median[engine.name]:11.3f}s" for engine in engines) + f"{ratio:9.2f}", flush=True)
            for engine in engines[1:]:
                if not same(answers["calltide"], answers[engine.name]):
                    differing += 1
                    print(f"  {engine.name} answers otherwise: {answers[engine.name][:2]} instead of {answers['calltide'][:2]}")
        began = time.perf_counter()
        ours.ask("/api/v1/reports/outcomes?by=campaign")
        print(f"\nthe whole report, /api/v1/reports/outcomes?by=campaign: {time.perf_counter() - began:.3f} s")
    finally:
        for engine in engines:
            engine.close()
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
