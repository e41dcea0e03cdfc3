"""What /metrics says, read strictly, and which names a PromQL expression mentions."""

import re

from hawser_test import web

SERIES = re.compile(r'^([a-z_]+)(\{(?:[a-z]+="[^"\\]*",?)*\})? (-?[0-9.]+)$')
LABEL = re.compile(r'([a-z]+)="([^"]*)"')
SUFFIXES = ("_bucket", "_sum", "_count")


def parse(text):
    """({family: {labels: value}}, {family: type}), having checked the form. Of a histogram's series
    the labels begin with its suffix."""
    found, kinds = {}, {}
    current = None
    seen = set()
    for line in text.splitlines():
        if line.startswith("# HELP "):
            current = line.split()[2]
            assert current not in found, f"{current} stands twice"
            found[current] = {}
            continue
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split()
            assert name == current and kind in ("counter", "gauge", "histogram")
            assert (kind == "counter") == name.endswith("_total"), name
            kinds[name] = kind
            continue
        match = SERIES.match(line)
        assert match, line
        suffix = match[1][len(current):]
        allowed = SUFFIXES if kinds[current] == "histogram" else ("",)
        assert match[1].startswith(current) and suffix in allowed, f"{line} stands in the family {current}"
        assert (match[1], match[2]) not in seen, line
        seen.add((match[1], match[2]))
        found[current][suffix + (match[2] or "")] = float(match[3])
    return found, kinds


def families(text):
    return parse(text)[0]


def scrape(where):
    """{family: {labels: value}} of a listener."""
    status, _, text = web.ask(where, "/metrics")
    assert status == 200, text
    return families(text)


def labels_of(series):
    """The names of the labels on some series of a family."""
    return {name for labels in series for name, _ in LABEL.findall(labels)}


NAME = re.compile(r"\b((?:hawser|process)_[a-z0-9_]+|hawser:[a-z0-9_:]+)\b")
MATCHERS = re.compile(r"\{([^}]*)\}")
GROUPS = re.compile(r"\b(?:by|on|without|ignoring|group_left|group_right)\s*\(([^)]*)\)")


def mentioned(expression):
    """(names of metrics, names of labels) that an expression refers to."""
    expression = re.sub(r'"[^"]*"', '""', expression)
    labels = set()
    for matchers in MATCHERS.findall(expression):
        labels |= set(re.findall(r"([a-z_]+)\s*(?:=~|!~|!=|=)", matchers))
    for group in GROUPS.findall(expression):
        labels |= {name.strip() for name in group.split(",") if name.strip()}
    return set(NAME.findall(expression)), labels
