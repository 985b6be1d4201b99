#!/usr/bin/env python3
"""Checks the dashboard, the rules and the runbooks against each other, and against a running system.

    check.py                           every alert has a section in the runbooks, and every section an alert
    check.py --as-rules FILE           writes the dashboard's queries as recording rules, for `promtool check rules`
    check.py --metrics URL-OR-FILE...  every metric that is queried is exported there (the answers of GET /metrics)
    check.py --prometheus URL          every query of the dashboard and every recording rule had data there
                                       within the last ten minutes

It needs nothing but Python. What counts errors, or what waits,
may have no data; such panels say so in their description.
"""

import argparse
import json
import pathlib
import re
import sys
import urllib.parse
import urllib.request

HERE = pathlib.Path(__file__).parent
EMPTY = "Empty as long as"
# Of these there is no series as long as nothing fails or nothing waits.
RARE = re.compile(r"remaster_store_errors|given_up|deferred|remaster_model_queue_depth")


def dashboard():
    """The queries of the dashboard, as (title, query, whether it may have no data)."""
    for panel in json.loads((HERE / "dashboard.json").read_text())["panels"]:
        for target in panel.get("targets", []):
            query = target["expr"].replace("$__rate_interval", "1m").replace("$namespace", ".*")
            yield panel["title"], query, panel.get("description", "").startswith(EMPTY)


def scaling():
    """The queries by which KEDA scales, without the name of the namespace."""
    text = (HERE / "../kubernetes/components/keda/scaledobject.yaml").read_text()
    return [("KEDA", query.replace('{namespace="remaster"}', ""), False) for query in re.findall(r"query: (.*)", text)]


def runbooks():
    alerts = re.findall(r"^\s+- alert: (\w+)$", (HERE / "alerts.yml").read_text(), re.M)
    links = re.findall(r"runbook_url: runbooks\.md#(\w+)$", (HERE / "alerts.yml").read_text(), re.M)
    sections = re.findall(r"^## (\w+)$", (HERE / "runbooks.md").read_text(), re.M)
    if links != [alert.lower() for alert in alerts]:
        yield "an alert has no link to the section of its own name"
    for name in sorted(set(alerts) ^ set(sections)):
        yield f"{name} is an alert without a section in the runbooks, or a section without an alert"


def as_rules(file):
    rules = [{"record": f"dashboard:query:{number}", "expr": query} for number, (_, query, _) in enumerate(dashboard())]
    pathlib.Path(file).write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}, indent=1))


def exported(source):
    """The names of the series in an exposition; of a histogram the three of Prometheus."""
    text = get(source) if "://" in source else pathlib.Path(source).read_text()
    suffixes = {"counter": ["_total"], "histogram": ["_bucket", "_count", "_sum"], "info": ["_info"]}
    for name, kind in re.findall(r"^# TYPE (\w+) (\w+)$", text, re.M):
        yield from (name.removesuffix("_total") + suffix for suffix in suffixes.get(kind, [""]))


def metrics(sources):
    known = {name for source in sources for name in exported(source)}
    text = "".join((HERE / file).read_text() for file in ("dashboard.json", "rules.yml", "alerts.yml")) + str(scaling())
    for name in sorted(set(re.findall(r"(?<![:\w])remaster_\w+", text)) - known):
        if RARE.search(name):
            print(f"note: {name} is not exported, as it may be")
        else:
            yield f"{name} is queried and not exported"
    for name in sorted(known):
        if name.startswith("remaster_") and not re.search(rf"\b{name}\b", text) and not name.endswith("_sum"):
            print(f"note: {name} is exported and not queried")


def get(url):
    with urllib.request.urlopen(url, timeout=10) as answer:
        return answer.read().decode()


def live(prometheus):
    def ask(path, **query):
        return json.loads(get(f"{prometheus.rstrip('/')}/api/v1/{path}?{urllib.parse.urlencode(query)}"))["data"]

    rules = [rule for group in ask("rules")["groups"] for rule in group["rules"]]
    for rule in rules:
        if rule["health"] != "ok":
            yield f"the rule {rule['name']} has the state {rule['health']}: {rule.get('lastError', '')}"
    queries = list(dashboard()) + scaling()
    queries += [(r["name"], r["query"], bool(RARE.search(r["query"]))) for r in rules if r["type"] == "recording"]
    # An alert is silent when all is well, but what it looks at has to be there.
    for rule in (rule for rule in rules if rule["type"] == "alerting"):
        for name in set(re.findall(r"[\w:]*\bremaster_[\w:]+|\bup\b", rule["query"])):
            queries.append((rule["name"], name, bool(RARE.search(name))))
    data = 0
    for title, query, may_be_empty in queries:
        # Within ten minutes, as what was done may be over.
        samples = ask("query", query=f"max_over_time(({query})[10m:5s])")["result"]
        values = [sample["value"][1] for sample in samples]
        data += bool(values)
        if not values and not may_be_empty:
            yield f"{title}: no data: {query}"
        elif not values:
            print(f"note: {title}: no data, as it may be: {query}")
        elif all(value == "NaN" for value in values):
            yield f"{title}: NaN only: {query}"
    print(f"{len(queries)} queries, {data} with data")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--as-rules", metavar="FILE")
    parser.add_argument("--metrics", nargs="+", metavar="URL-OR-FILE", default=[])
    parser.add_argument("--prometheus", metavar="URL")
    args = parser.parse_args()
    problems = list(runbooks())
    if args.as_rules:
        as_rules(args.as_rules)
    if args.metrics:
        problems += metrics(args.metrics)
    if args.prometheus:
        problems += live(args.prometheus)
    for problem in problems:
        print(f"error: {problem}", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
