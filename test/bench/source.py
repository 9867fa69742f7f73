# SPDX-License-Identifier: Apache-2.0
"""What the zones of a benchmark are made of: files, or rows of a MongoDB or a PostgreSQL.

One API in a hundred entities, each with subscriptions and keys of about 1 KB; and `big`, an
API with 1,000 children.
"""
import datetime
import json
import os
import pathlib
import random
import subprocess
import time

import behind
import mongo
import postgres
import psycopg2.extras
import pymongo
import zone as z

CHILDREN = 1000
INSERT = 2000
LONG_AGO = mongo.now_ms() - 3600000
YEAR_S = 31536000
NOTE = "x" * 500
INSTALL = ("  cargo install --locked --ignore-rust-version --version =0.5.3-beta.196 --root DIR secantus-mdb\n"
           "  SECANTUSD_RS=DIR/bin/secantusd-rs test/bench/run")


class Size:
    def __init__(self, count):
        self.apis = max(count // 100, 1)
        self.pairs = (count - self.apis) // 2
        self.total = self.apis + 2 * self.pairs + 1 + CHILDREN


def apis(size):
    for i in range(size.apis):
        yield z.api(f"a{i}", description=NOTE)
    yield z.api("big", description=NOTE)


def subscriptions(size):
    for i in range(size.pairs):
        yield z.subscription(f"s{i}", f"a{i % size.apis}", metadata={"note": NOTE})
    for i in range(CHILDREN // 2):
        yield z.subscription(f"bs{i}", "big", metadata={"note": NOTE})


def keys(size):
    for i in range(size.pairs):
        yield z.apikey(f"k{i}", [f"s{i}"])
    for i in range(CHILDREN // 2):
        yield z.apikey(f"bk{i}", [f"bs{i}"])


class FileZone(z.Zone):
    NAME = "files"

    def fill(self, size):
        for folder, rows in (("apis", apis), ("subscriptions", subscriptions), ("api-keys", keys)):
            (self.data / folder).mkdir(exist_ok=True)
            for row in rows(size):
                (self.data / folder / f"{row['id']}.json").write_text(json.dumps(row))

    def drain(self, _tool):
        """Seconds that reading it takes, with nothing done to it."""
        begin = time.monotonic()
        for folder in ("apis", "subscriptions", "api-keys"):
            for f in os.scandir(self.data / folder):
                with open(f.path, "rb") as h:
                    h.read()
        return time.monotonic() - begin

    def change(self, version):
        self.write("apis/a0.json", z.api("a0", version=version))


class LinkedZone(behind.Behind, FileZone):
    """Its nodes reach Redis by a link that can be made slow."""

    def close(self):
        super().close()
        self.end_proxy()


class Server(mongo.Mongo):
    """SecantusDB in Rust: as fast as a database may be expected to be."""

    def start(self):
        self.dir.mkdir(parents=True, exist_ok=True)
        self.process = subprocess.Popen(
            [os.environ["SECANTUSD_RS"], "--host", "127.0.0.1", "--port", str(self.port), "--storage-path",
             self.dir / "db", "--cache-size", "512M", "--log-level", "ERROR"],
            cwd=self.dir, stdout=open(self.dir / "log", "ab"), stderr=subprocess.STDOUT)
        self.client = pymongo.MongoClient(self.uri, serverSelectionTimeoutMS=500, connect=False)
        z.until("the database answers", self.answers)
        return self


class DatabaseZone(mongo.MongoZone):
    NAME = "MongoDB"

    def __init__(self, base):
        super().__init__(base)
        self.mongo = Server(self.base / "mongo")

    def fill(self, size):
        db = self.mongo.db
        for name, index in (("events_latest", [("updatedAt", 1), ("_id", 1)]), ("subscriptions", [("api", 1)]),
                            ("subscriptions", [("updatedAt", 1)]), ("keys", [("subscriptions", 1)]),
                            ("keys", [("updatedAt", 1)])):
            db[name].create_index(index)  # those the Management API makes
        self.insert("events_latest", map(self.published, apis(size)))
        self.insert("subscriptions", map(self.dated, subscriptions(size)))
        self.insert("keys", map(self.dated, keys(size)))

    def insert(self, name, rows):
        page = []
        for row in rows:
            page.append(row)
            if len(page) == INSERT:
                self.mongo.db[name].insert_many(page, ordered=False)
                page = []
        if page:
            self.mongo.db[name].insert_many(page, ordered=False)

    @staticmethod
    def some_day():
        """In the year before: few rows lie within the overlap that each poll reads again."""
        return mongo.date(LONG_AGO - random.randrange(YEAR_S) * 1000)

    def dated(self, row):
        row["_id"] = row.pop("id")
        row["createdAt"] = row["updatedAt"] = self.some_day()
        return row

    def published(self, definition):
        day = self.some_day()
        return {"_id": definition["id"], "type": "PUBLISH_API", "payload": mongo.bean(definition),
                "properties": {"api_id": definition["id"], "deployment_number": "1"},
                "createdAt": day, "updatedAt": day, "environments": ["DEFAULT"], "organizations": ["DEFAULT"]}

    def drain(self, tool):
        return tool("mongo", self.mongo.uri, "events_latest", "subscriptions", "keys")["mongo"][0]

    def change(self, version):
        self.event("a0", "PUBLISH_API", mongo.bean(z.api("a0", version=version)))

    def deploy_big(self, wanted):
        self.event("big", "PUBLISH_API" if wanted else "UNPUBLISH_API",
                   mongo.bean(z.api("big", description=NOTE)) if wanted else None)


class PostgresDatabase(postgres.Database):
    """Without anything between it and the node."""

    def __init__(self, base):
        super().__init__(base)
        self.options = "ApplicationName=zonesync"

    @property
    def port(self):
        return self.server.port


class PostgresZone(postgres.PostgresZone):
    NAME = "PostgreSQL"
    DATABASE = PostgresDatabase
    TABLES = ("events_latest", "events_latest_properties", "events_latest_environments", "events_latest_organizations",
              "subscriptions", "subscriptions_metadata", "keys", "key_subscriptions")

    def fill(self, size):
        day = DatabaseZone.some_day
        rows = [(d["id"], "PUBLISH_API", mongo.bean(d), day()) for d in apis(size)]
        self.insert("events_latest (id, type, payload, updated_at)", rows)
        for name, key, value in (("properties", "property_key", "api_id"), ("properties", "property_key", "deployment_number")):
            self.insert(f"events_latest_{name} (event_id, {key}, property_value)",
                        ((r[0], value, r[0] if value == "api_id" else "1") for r in rows))
        for name in ("environment", "organization"):
            self.insert(f"events_latest_{name}s (event_id, {name}_id)", ((r[0], "DEFAULT") for r in rows))
        self.insert("subscriptions (id, api, plan, application, application_name, status, environment_id, updated_at)",
                    ((s["id"], s["api"], s["plan"], s["application"], s["applicationName"], s["status"], "DEFAULT", day())
                     for s in subscriptions(size)))
        self.insert("subscriptions_metadata (subscription_id, k, v)",
                    ((s["id"], "note", s["metadata"]["note"]) for s in subscriptions(size)))
        self.insert("keys (id, key, application, environment_id, updated_at, revoked)",
                    ((k["id"], k["key"], k["application"], "DEFAULT", day(), False) for k in keys(size)))
        self.insert("key_subscriptions (key_id, subscription_id)",
                    ((k["id"], k["subscriptions"][0]) for k in keys(size)))
        self.mongo.run("UPDATE events_latest SET created_at = updated_at")
        self.mongo.run("VACUUM ANALYZE")  # as it would long have done by itself

    def insert(self, where, rows):
        psycopg2.extras.execute_values(self.mongo.connection().cursor(), f"INSERT INTO {where} VALUES %s", rows,
                                       page_size=INSERT)

    def drain(self, tool):
        m = self.mongo
        return tool("postgres", f"host=127.0.0.1 port={m.port} dbname={m.name} user={m.user} password={m.password}",
                    *self.TABLES)["postgres"][0]

    def change(self, version):
        self.event("a0", "PUBLISH_API", mongo.bean(z.api("a0", version=version)))


def has_database():
    path = os.environ.get("SECANTUSD_RS")
    return bool(path) and pathlib.Path(path).exists()
