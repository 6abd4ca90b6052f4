#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What pages can be made of: the reference part of org.fdld1(5) from dbus/*.xml, the exit statuses of fdlctl(1) from
common/errors.def. Each replaces what stands between its BEGIN and END marks in the page.

usage: man/reference.py            rewrite the pages
       man/reference.py --check    say what would change; exit status 1 if anything would
"""
import difflib
import glob
import os
import re
import sys
import xml.etree.ElementTree as ET

os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
ORDER = ["Manager", "Slot", "Device", "Job", "Progress", "Image"]
CHANGES = "org.freedesktop.DBus.Property.EmitsChangedSignal"
LABELS = ("Rights", "Options", "Errors")


def esc(text):
    """Plain text as roff."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq").replace("^", "\\(ha").replace("~", "\\(ti")
    return re.sub(r"^\.", r"\\&.", text)


class Keep(ET.TreeBuilder):
    """Comments stay, as elements with a tag of None."""

    def comment(self, data):
        self.start("!--", {})
        self.data(data)
        self.end("!--")


def lines_of(comment):
    """Lines of a comment without the indentation they share."""
    lines = [line.rstrip() for line in comment.strip("\n").split("\n")]
    if len(lines) == 1:
        return [lines[0].strip()]
    margin = min((len(line) - len(line.lstrip()) for line in lines if line.strip()), default=0)
    return [line[margin:] for line in lines if line.strip()]


def paragraph(lines):
    return [esc(" ".join(line.strip() for line in lines))]


def items(lines):
    """"key (type)   text" with continued lines, as a list."""
    out = [".RS"]
    for line in lines:
        match = re.match(r"\s+(\w+ \(\w+\))\s+(.*)", line)
        if match:
            out += [".TP", ".B " + esc(match.group(1)), esc(match.group(2))]
        else:
            out[-1] += " " + esc(line.strip())
    return out + [".RE"]


def describe(comment):
    """Text of a member: prose, then what stands behind a label."""
    parts = [["", []]]
    for line in lines_of(comment):
        label = line.split(":")[0]
        if label in LABELS:
            parts.append([label, [line[len(label) + 1:]] if line[len(label) + 1:].strip() else []])
        else:
            parts[-1][1].append(line)
    out = []
    for label, lines in parts:
        if not label:
            out += paragraph(lines)
        elif lines and re.match(r"\s+\w+ \(\w+\)\s", lines[0]):
            out += [".br", ".I " + label + ":"] + items(lines) + [".IP"]
        else:
            out += ([] if out[-1] == ".IP" else [".br"]) + [".IR " + label + " :"] + paragraph(lines)
    return out


def arguments(element, direction):
    return ", ".join(f"{a.get('name')} {a.get('type')}" for a in element.findall("arg")
                     if a.get("direction", direction) == direction)


def heading(element):
    name = element.get("name")
    if element.tag == "method":
        text = f"{name} ({arguments(element, 'in')})"
        back = arguments(element, "out")
        return text + (f" -> {back}" if back else "")
    if element.tag == "signal":
        return f"{name} ({arguments(element, 'in')}) - signal"
    emits = [a.get("value") for a in element.findall("annotation") if a.get("name") == CHANGES]
    how = {"const": ", constant", "false": ", not signalled"}.get(emits[0] if emits else "true", "")
    return f"{name} - property, {element.get('type')}{how}"


def labelled(comment, label):
    """What stands behind a label, as one line."""
    text = " ".join(line.strip() for line in lines_of(comment))
    match = re.search(rf"\b{label}: (.*?)(?= (?:{'|'.join(LABELS)}):|$)", text)
    return match.group(1) if match else None


def proved(where, element, comment, names, actions):
    """A method's text against the error table and the table of rights."""
    for label in LABELS:
        if labelled(comment, label) is None and (label != "Options" or element.find("arg[@name='options']") is not None):
            sys.exit(f"{where}: says nothing of its {label}")
    for word in re.findall(r"(?<![.\w])[A-Z]\w*[a-z0-9][A-Z]\w*", labelled(comment, "Errors")):
        if word not in names:
            sys.exit(f"{where}: there is no error {word}")
    rights, action = labelled(comment, "Rights"), actions.get(element.get("name"))
    if action in ("READ", "WATCH"):
        right = rights.startswith("everyone")
    elif action == "OWN":
        right = rights.startswith("whoever holds it")
    else:
        right = rights.startswith("as ") or action and "org.fdld1." + action.lower().replace("_", "-") in rights
    if not right:
        sys.exit(f"{where}: says of its rights '{rights}', and daemon/bus/action.c says {action}")


def reference():
    out = []
    with open("common/errors.def", encoding="utf-8") as file:
        names = set(re.findall(r'^ROW\(\w+, "(\w+)"', file.read(), re.M))
    with open("daemon/bus/action.c", encoding="utf-8") as file:
        rows = re.findall(r'\{ FDLD_IFACE_(\w+), "(\w+)", ACTION_(\w+),', file.read())
    there = [os.path.basename(path)[len("org.fdld1."):-len(".xml")] for path in glob.glob("dbus/org.fdld1.*.xml")]
    for short in sorted(there, key=lambda name: (ORDER.index(name) if name in ORDER else len(ORDER), name)):
        path = f"dbus/org.fdld1.{short}.xml"
        with open(path, encoding="utf-8") as file:
            text = file.read()
        # the comment before <node> is the interface's own; rules of all interfaces follow it in Manager
        about = re.search(r"<!--((?:(?!-->).)*)-->\s*<node>", text, re.S).group(1)
        head, _, rules = about.partition("General rules of all interfaces")
        tree = ET.fromstring(text[text.index("<node>"):].encode(), parser=ET.XMLParser(target=Keep()))
        if rules:
            out += [".SH RULES"]
            for rule in re.split(r"\n\s*- ", rules)[1:]:
                out += [".IP \\(bu 2", esc(" ".join(rule.split()))]
        out += [f".SH ORG.FDLD1.{short.upper()}"] + paragraph(lines_of(head))
        comment = ""
        for element in tree.find("interface"):
            if element.tag == "!--":
                comment = element.text
                continue
            if not comment.strip():
                sys.exit(f"{path}: {element.get('name')} has no text")
            if element.tag == "method":
                proved(f"{path}: {element.get('name')}", element, comment, names,
                       {method: action for interface, method, action in rows if interface == short.upper()})
            out += [".TP", ".B " + esc(heading(element))] + describe(comment)
            comment = ""
    return out


def statuses():
    with open("common/errors.def", encoding="utf-8") as file:
        rows = re.findall(r'^ROW\(\w+, "(\w+)", \w+, (\d+), FAULT_(\w+),', file.read(), re.M)
    who = {"CALLER": "caller", "PACKAGE": "package", "PHONE": "phone", "STATION": "station", "US": "fdld"}
    by_code = {}
    for name, code, fault in rows:
        by_code.setdefault(int(code), []).append(f"{name} ({who[fault]})")
    out = []
    for code in sorted(by_code):
        out += [".TP", f".B {code}", ", ".join(by_code[code])]
        out += [".PD 0"] if code == min(by_code) else []
    return out + [".PD"]


PAGES = {"man/org.fdld1.5": {"reference": reference}, "man/fdlctl.1": {"statuses": statuses}}


def main():
    changed = False
    for page, parts in PAGES.items():
        with open(page, encoding="utf-8") as file:
            old = file.read()
        new = old
        for mark, make in parts.items():
            begin, end = f'.\\" BEGIN {mark}\n', f'.\\" END {mark}\n'
            start, stop = new.index(begin) + len(begin), new.index(end)
            new = new[:start] + "\n".join(make()) + "\n" + new[stop:]
        if new == old:
            continue
        changed = True
        if "--check" in sys.argv:
            sys.stdout.writelines(difflib.unified_diff(old.splitlines(True), new.splitlines(True), page, page + " (made anew)", n=0))
        else:
            with open(page, "w", encoding="utf-8") as file:
                file.write(new)
    return 1 if changed and "--check" in sys.argv else 0


sys.exit(main())
