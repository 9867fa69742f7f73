# SPDX-License-Identifier: Apache-2.0
"""How a Java secondary reads a zone (storage 1.4, 1.5 and 5): its queries, and what it takes from the answers."""
import json
import re
import time

import zone as z

INDEX = "distributed-event-search-idx-v2"
COMMANDS = z.ROOT / "test" / "data" / "vectors" / "java-reader.commands.jsonl"
SLACK_MS = 30000
SPECIAL = set(",.<>{}[]\"':;!@#$%^&*()-+=~\\/?| ")


def now_ms():
    return int(time.time() * 1000)


def escape(tag):
    return "".join("\\" + c if c in SPECIAL else c for c in tag)


def query(cluster, type, actions=("DEPLOY",), since=None, to=None):
    q = f"@clusterId:{{{escape(cluster)}}}@type:{{{type}}}@syncAction:{{{'|'.join(actions)}}}"
    if since is not None:
        q += f"@updatedAt:[{since - SLACK_MS} +inf]"
    return q + f"@updatedAt:[-inf {(to or now_ms()) + SLACK_MS}]"


def aggregate(query, count=1000):
    return ["FT.AGGREGATE", INDEX, query, "LOAD", "5", "@id", "@payload", "@type", "@syncAction", "@updatedAt",
            "WITHCURSOR", "COUNT", str(count)]


def rows(answer):
    """The hashes of an answer of either protocol, as the reference finds them."""
    top = answer
    if isinstance(top, dict):
        top = top.get(b"results", top)
    out = []
    for element in top:
        if isinstance(element, dict):
            out.append(element.get(b"extra_attributes", element))
        elif isinstance(element, list):
            out.append(dict(zip(element[::2], element[1::2])))
    return [{k.decode(): v.decode(errors="replace") for k, v in r.items()} for r in out]


def read(redis, command):
    """All rows of an FT.AGGREGATE, and in how many pages they came."""
    answer, cursor = redis(*command)
    found, pages = rows(answer), 1
    while cursor:
        answer, cursor = redis("FT.CURSOR", "READ", INDEX, cursor)
        found += rows(answer)
        pages += 1
    return found, pages


def recorded():
    """Commands of a Java secondary, their time windows moved to now."""
    out = []
    for line in COMMANDS.read_text().splitlines():
        c = json.loads(line)
        if c[0] == "FT.AGGREGATE":
            c[2] = re.sub(r"\[-inf \d+\]", f"[-inf {now_ms() + SLACK_MS}]", c[2])
        out.append(c)
    return out
