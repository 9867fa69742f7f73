# SPDX-License-Identifier: Apache-2.0
"""What the source said, in which order; and the writer who says it.

Every payload carries a number that only grows. An entity's history is the list of what it was: a number, or None while it is
withdrawn. Who reads it can only go forward in that list, whatever happened to it.
"""
import json
import threading
import time

from zone import api, apikey, subscription

BASE_MS = 4102444800000  # keys expire at this and their number of ms: it is the one number in their payload


class History:
    """What each entity was, with the time at which the source began to say so."""

    def __init__(self, log=None):
        self.lock = threading.Lock()
        self.log = log  # a file that tells it to people
        self.steps = {}  # name -> [(number or None, monotonic time)...], the first is None: before it was there

    def add(self, name, number, why=""):
        with self.lock:
            steps = self.steps.setdefault(name, [(None, 0.0)])
            if steps[-1][0] != number:
                steps.append((number, time.monotonic()))
            if self.log:
                print(f"{time.strftime('%H:%M:%S', time.gmtime())}.{int(time.time() * 1000) % 1000:03} {name} {number} {why}", file=self.log, flush=True)

    def of(self, name):
        with self.lock:
            return list(self.steps.get(name, [(None, 0.0)]))

    def now(self):
        """What is live: name -> number."""
        with self.lock:
            return {name: s[-1][0] for name, s in self.steps.items() if s[-1][0] is not None}

    def names(self):
        with self.lock:
            return list(self.steps)


def number_of(kind, payload):
    """The number in a payload, as it stands in Redis or at a node; None: what it says is that it does not count."""
    d = json.loads(payload)
    if kind == "API":
        d = d["definition"]
        number = int(json.loads(d)["apiVersion"] if isinstance(d, str) else d["apiVersion"])
        return number
    if kind == "API_KEY":
        return int(d["expireAt"]) - BASE_MS if d["active"] else None
    if kind == "SUBSCRIPTION":
        return int(d["metadata"]["n"]) if d["status"] == "ACCEPTED" else None
    assert kind == "DICTIONARY", kind
    return int(d["properties"]["n"])


class Writer(threading.Thread):
    """Changes, deletes and revokes until it is told to stop; waits while the source is away (`source` is held)."""

    APIS, DICTIONARIES = 16, 8
    WAVE = 100  # changes
    ABSENT = {"apis": 3, "dictionaries": 2}  # at a time: no mass deletion, which is another test's subject

    def __init__(self, zone, rng, pause_s=0.08):
        super().__init__(daemon=True)
        self.zone, self.rng, self.pause_s = zone, rng, pause_s
        self.history = History(open(zone.base / "truth", "w"))
        self.source = threading.Lock()
        self.over = threading.Event()
        self.number = 0
        self.writes = 0
        self.failed = None
        self.apis = {f"a{i}": True for i in range(self.APIS)}
        self.dictionaries = {f"d{i}": True for i in range(self.DICTIONARIES)}
        self.accepted = {f"a{i}": True for i in range(self.APIS)}
        self.revoked = {f"a{i}": False for i in range(self.APIS)}
        self.numbers = {}

    # --- what the source is made of; the history is told first, so that nobody sees what it does not know ---

    def next(self, name):
        self.number += 1
        self.numbers[name] = self.number
        return self.number

    def tell(self, a, new=""):
        """An API and what hangs on it, as it is from now on. `new`: the row that changes.

        A source is not read in one moment: who read the API before it went, or the subscription before it was closed, may take a
        new row for one that counts, until the next look; and with a subscription the key that hangs on it.
        """
        live, i = self.apis[a], a[1:]
        self.history.add(f"API:{a}", self.numbers[f"API:{a}"] if live else None)
        for name, on, above in ((f"SUBSCRIPTION:s{i}", self.accepted[a], live), (f"API_KEY:k{i}", not self.revoked[a], live and self.accepted[a])):
            if on and not above and (name == new or (new.startswith("SUBSCRIPTION") and self.accepted[a])):
                self.history.add(name, self.numbers[name], "for a moment at most")
            self.history.add(name, self.numbers[name] if on and above else None)

    def put_api(self, a):
        n = self.next(f"API:{a}")
        self.apis[a] = True
        self.tell(a)
        self.zone.write(f"apis/{a}.json", api(a, version=str(n), description=f"{n:06d}" * 50))

    def remove_api(self, a):
        self.apis[a] = False
        self.tell(a)
        self.zone.remove(f"apis/{a}.json")

    def put_subscription(self, a, accepted):
        i = a[1:]
        n = self.next(f"SUBSCRIPTION:s{i}")
        self.accepted[a] = accepted
        self.tell(a, f"SUBSCRIPTION:s{i}")
        self.zone.write(f"subscriptions/s{i}.json", subscription(f"s{i}", a, status="ACCEPTED" if accepted else "CLOSED", metadata={"n": str(n)},
                                                                 clientId=f"client-{i}", updatedAt=int(time.time() * 1000)))

    def put_key(self, a, revoked):
        i = a[1:]
        n = self.next(f"API_KEY:k{i}")
        self.revoked[a] = revoked
        self.tell(a, f"API_KEY:k{i}")
        self.zone.write(f"api-keys/k{i}.json", apikey(f"k{i}", [f"s{i}"], revoked=revoked, expireAt=BASE_MS + n, updatedAt=int(time.time() * 1000)))

    def put_dictionary(self, d):
        n = self.next(f"DICTIONARY:{d}")
        self.dictionaries[d] = True
        self.history.add(f"DICTIONARY:{d}", n)
        self.zone.write(f"dictionaries/{d}.json", {"id": d, "key": d, "name": d, "environmentId": "DEFAULT", "properties": {"n": str(n)}})

    def remove_dictionary(self, d):
        self.dictionaries[d] = False
        self.history.add(f"DICTIONARY:{d}", None)
        self.zone.remove(f"dictionaries/{d}.json")

    def fill(self):
        for a in self.apis:
            self.numbers.update({f"API:{a}": 0, f"SUBSCRIPTION:s{a[1:]}": 0, f"API_KEY:k{a[1:]}": 0})
        for a in self.apis:
            self.put_api(a)
            self.put_subscription(a, True)
            self.put_key(a, False)
        for d in self.dictionaries:
            self.put_dictionary(d)

    # --- the changes ---

    def step(self):
        rng = self.rng
        a, d, dice = rng.choice(list(self.apis)), rng.choice(list(self.dictionaries)), rng.random()
        if dice < 0.30:
            if self.apis[a] and rng.random() < 0.25 and list(self.apis.values()).count(False) < self.ABSENT["apis"]:
                self.remove_api(a)
            else:
                self.put_api(a)
        elif dice < 0.45:
            self.put_subscription(a, rng.random() < 0.8)
        elif dice < 0.80:  # in waves: now most are revoked, now most come back
            self.put_key(a, rng.random() < (0.9 if self.writes // self.WAVE % 2 else 0.15))
        elif self.dictionaries[d] and rng.random() < 0.2 and list(self.dictionaries.values()).count(False) < self.ABSENT["dictionaries"]:
            self.remove_dictionary(d)
        else:
            self.put_dictionary(d)
        self.writes += 1

    def run(self):
        try:
            while not self.over.wait(self.rng.random() * 2 * self.pause_s):
                with self.source:
                    if not self.over.is_set():
                        self.step()
        except BaseException as e:  # noqa: B902 - told by stop()
            self.failed = e

    def stop(self):
        self.over.set()
        self.join(60)
