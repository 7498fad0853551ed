"""A portal that lists so many mentors of the benchmark's roster: pages made once, given as often as asked for.

Rows look as Dataverse's do. Who is paused or was never certified in that roster is not listed. It prints its port; how
many mentors there are stands in BENCH_MENTORS.
"""

from __future__ import annotations

import json
import os
import re
from functools import cache
from uuid import UUID

from benchmarks import portal
from benchmarks.receiver import receive

PAGE = 5000
MENTORS = int(os.environ.get("BENCH_MENTORS", "0"))
_TOKEN = re.compile(rb"skiptoken=(\d+)")


def listed(mentors: int) -> range | list[int]:
    """Return the numbers of those who are to be listed among so many mentors."""
    return [number for number in range(mentors) if number % 10 != 3 and number % 500 != 1]


def answer(head: bytes, body: bytes) -> bytes:
    """Return the whole answer to a request."""
    line = head[: head.find(b"\r\n")]
    if b"/contacts?" not in line:
        return portal.answer(head, body)
    found = _TOKEN.search(line)
    host = re.search(rb"\r\nhost: *([^\r]+)", head, re.IGNORECASE)
    return _page(int(found[1]) if found else 0, host[1].decode() if host else "")


@cache
def _numbers() -> list[int]:
    return list(listed(MENTORS))


@cache
def _page(number: int, host: str) -> bytes:
    refs = _numbers()[number * PAGE : (number + 1) * PAGE]
    root = f"http://{host}/api/data/v9.2/"
    document: dict[str, object] = {
        "@odata.context": f"{root}$metadata#contacts(new_mentorid)",
        "value": [
            {"@odata.etag": f'W/"{ref}"', "new_mentorid": f"M-{ref}", "contactid": str(UUID(int=ref))} for ref in refs
        ],
    }
    if (number + 1) * PAGE < len(_numbers()):
        document["@odata.nextLink"] = f"{root}contacts?$select=new_mentorid&$skiptoken={number + 1}"
    text = json.dumps(document)
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(text)}\r\n\r\n"
    return (head + text).encode("ascii")


if __name__ == "__main__":
    receive(answer)
