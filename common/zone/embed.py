#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Turn the Lua scripts into one C file: embed.py OUT SCRIPT..."""
import pathlib
import sys


def main():
    out = ['#include "common/zone/script.h"\n', "const char *const script_text[SCRIPT__COUNT] = {\n"]
    for path in sys.argv[2:]:
        name = pathlib.Path(path).stem
        out.append(f"\t[SCRIPT_{name.upper()}] =\n")
        for line in pathlib.Path(path).read_text().splitlines():
            if line.strip().startswith("--"):
                continue
            text = line.replace("\\", "\\\\").replace('"', '\\"').replace("\t", "\\t")
            out.append(f'\t\t"{text}\\n"\n')
        out.append("\t,\n")
    out.append("};\n")
    pathlib.Path(sys.argv[1]).write_text("".join(out))


main()
