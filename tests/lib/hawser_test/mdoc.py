"""The manual pages as far as they can be compared with the program: what their lists name, and where."""

import json
import re
import subprocess
from pathlib import Path

from hawser_test.hawserd import BUILD, ROOT

MAN = ROOT / "packaging" / "man"
PAGES = ("hawserd.8", "hawserctl.1", "hawser.ini.5", "hawser-profile.5", "hawser-protocol.7")


def describe():
    return json.loads(subprocess.check_output([BUILD / "tests" / "tools" / "describe"]))


class Item:
    """One `.It`: where it stands, its names (of the macros Cm and Ic), and what follows an `=`."""

    def __init__(self, section, line):
        self.section = section
        line = line.replace("\\&", "")
        head, _, tail = line.partition(" No = ")
        self.names = []
        macro, glued = "", False
        for word in head.split()[1:]:
            if word in ("Cm", "Ic", "Li", "Fl", "Ar", "No", "Pa", "Op", "Oo", "Oc"):
                macro = word
            elif word == "Ns":
                glued = True
            elif word == ",":
                continue
            elif macro in ("Cm", "Ic"):
                self.names.append(word)
            elif macro == "Ar" and glued and self.names and self.names[-1].endswith("."):
                self.names[-1] += "*"
            if word != "Ns" and word != macro:
                glued = False
        self.default = tail[3:].strip() if tail.startswith("Cm ") else None


def items(page):
    """All of a page's list items, in order; .section is of the nearest .Sh or .Ss."""
    section, found = "", []
    for line in (MAN / page).read_text().splitlines():
        if re.match(r"\.(Sh|Ss) ", line):
            section = line[4:].replace("\\&", "")
        elif line.startswith(".It "):
            found.append(Item(section, line))
    return found


def names(page, section):
    return [name for item in items(page) if item.section == section for name in item.names]
