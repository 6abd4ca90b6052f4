#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The journal's catalogue in other languages: systemd/fdld.LANGUAGE.catalog from systemd/fdld.catalog and po/LANGUAGE.po;
journalctl picks one by the name of the file.

usage: po/catalog.py             write them
       po/catalog.py --check     say which are not what they would be; exit status 1 if any
"""
import gettext
import io
import os
import subprocess
import sys

os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
SUBJECT = "Subject: "


def translated(language):
    catalogue = subprocess.run(["msgfmt", "-o", "-", f"po/{language}.po"], check=True, capture_output=True).stdout
    tongue = gettext.GNUTranslations(io.BytesIO(catalogue))
    entry = False
    out = []
    with open("systemd/fdld.catalog", encoding="utf-8") as file:
        for line in file.read().splitlines():
            if line.startswith("-- "):
                entry = True
            if line.startswith(SUBJECT):
                line = SUBJECT + tongue.gettext(line[len(SUBJECT):])
            elif entry and line and line.split(":")[0] not in ("Defined-By", "Support", "Documentation") and line[:3] != "-- ":
                line = tongue.gettext(line)
            out.append(line)
    return "\n".join(out) + "\n"


def main():
    wrong = 0
    with open("po/LINGUAS", encoding="utf-8") as file:
        languages = file.read().split()
    for language in languages:
        path, new = f"systemd/fdld.{language}.catalog", translated(language)
        if "--check" not in sys.argv:
            with open(path, "w", encoding="utf-8") as file:
                file.write(new)
        elif not os.path.exists(path) or open(path, encoding="utf-8").read() != new:
            print(f"{path} is out of date")
            wrong = 1
    return wrong


sys.exit(main())
