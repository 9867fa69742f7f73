# SPDX-License-Identifier: Apache-2.0
"""A management database for tests: SecantusDB, a server of MongoDB's protocol."""
import json
import os
import pathlib
import shutil
import subprocess
import sys

import pymongo

import zone as z

sys.path.insert(0, str(z.ROOT / "conf" / "samples"))
from mongodb import bean, date, now_ms, row_of  # noqa: E402,F401

SERVER = pathlib.Path(os.environ.get("ZONESYNC_SERVERS", z.ROOT / "build" / "servers")) / "bin" / "secantusd-py"
NOW = object()


class Mongo:
    def __init__(self, base, *args):
        self.dir = pathlib.Path(base)
        self.args = list(args)
        self.process = None
        self.port = z.free_port()
        self.uri = (f"mongodb://127.0.0.1:{self.port}/gravitee?replicaSet=secantus&retryReads=false"
                    "&socketTimeoutMS=2000&connectTimeoutMS=2000&serverSelectionTimeoutMS=1000")
        self.client = None

    def start(self):
        (self.dir / "tmp").mkdir(parents=True, exist_ok=True)
        self.process = subprocess.Popen(
            [SERVER, "--host", "127.0.0.1", "--port", str(self.port), "--storage-path", str(self.dir / "db"),
             "--enable-test-commands", "--sync-on-commit", "--log-level", "ERROR", *self.args],
            cwd=self.dir, env={**os.environ, "TMPDIR": str(self.dir / "tmp")},
            stdout=open(self.dir / "log", "ab"), stderr=subprocess.STDOUT)
        self.client = pymongo.MongoClient(self.uri, connect=False)
        z.until("the database answers", self.answers)
        return self

    def answers(self):
        try:
            return self.client.admin.command("ping")["ok"]
        except pymongo.errors.PyMongoError as e:
            return ValueError(e)

    @property
    def db(self):
        return self.client["gravitee"]

    def fail(self, commands, mode="alwaysOn", **data):
        """A fail point for the nodes' commands, see MongoDB's failCommand."""
        self.client.admin.command({"configureFailPoint": "failCommand", "mode": mode,
                                   "data": {"failCommands": commands, "appName": "zonesync", **data}})

    def fail_after(self, n, how):
        """The n-th question from now on fails, that one and no other."""
        data = {"closeConnection": True} if how == "close" else {"errorCode": 11600}
        self.fail(["find", "getMore"], {"skip": n, "times": 1}, **data)

    def heal(self):
        self.client.admin.command({"configureFailPoint": "failCommand", "mode": "off"})

    def pause(self):
        os.kill(self.process.pid, 19)

    def resume(self):
        os.kill(self.process.pid, 18)

    def stop(self):
        if self.client:
            self.client.close()
        if self.process:
            self.resume()
            self.process.kill()
            self.process.wait()
            self.process = None
        shutil.rmtree(self.dir / "tmp", ignore_errors=True)


class MongoZone(z.Zone):
    """A zone whose source is a database; documents of the file source become its rows."""

    SOURCE = "mongodb"
    DATABASE = Mongo

    def __init__(self, *args):
        super().__init__(*args)
        self.mongo = self.DATABASE(self.base / "mongo")
        self.number = 0
        self.of_path = {}

    def source(self, data=None):
        return f"management:\n  type: mongodb\n  mongodb:\n    uri: {self.mongo.uri}\n"

    def start(self, count=1, **kw):
        if self.mongo.process is None:
            self.mongo.start()
        return super().start(count, **kw)

    def row(self, collection, row, updated=NOW):
        """Upserts a row as the Management API would: times as dates, `id` as _id."""
        if self.mongo.process is None:
            self.mongo.start()
        row = row_of(row)
        if updated is not None:
            row["updatedAt"] = date(now_ms() if updated is NOW else updated)
        self.mongo.db[collection].replace_one({"_id": row["_id"]}, row, upsert=True)
        return row

    def event(self, id, type, payload=None, property="api_id", updated=NOW, **more):
        self.number += 1
        row = {"id": id, "type": type, "properties": {property: id, "deployment_number": str(self.number)},
               "createdAt": now_ms() if updated is NOW else updated, "environments": ["DEFAULT"],
               "organizations": ["DEFAULT"], **more}
        if payload is not None:
            row["payload"] = payload
        return self.row("events_latest", row, updated)

    def write(self, path, content):
        folder, name = path.split("/")
        id = name[: -len(".json")]
        if isinstance(content, bytes):
            content = content.decode("utf-8", "surrogateescape")
        if isinstance(content, str):
            try:
                content = json.loads(content)
            except (ValueError, RecursionError):
                pass
        if isinstance(content, dict):
            id = content["id"]
        elif folder in self.DAMAGE:
            self.damage(folder, self.of_path[path])
            return
        self.of_path[path] = id
        if folder == "apis":
            payload = bean(content) if isinstance(content, dict) else content
            self.event(id, "PUBLISH_API", payload)
        elif folder == "dictionaries":
            self.event(id, "PUBLISH_DICTIONARY", json.dumps(content), "dictionary_id")
        elif folder == "api-products":
            payload = json.dumps(content) if isinstance(content, dict) else content
            self.event(id, "DEPLOY_API_PRODUCT", payload, "api_product_id")
        else:
            collection = {"api-keys": "keys"}.get(folder, folder)
            self.row(collection, content, None if folder in ("environments", "organizations") else NOW)
        if self.nodes and folder in ("environments", "organizations"):
            self.compare()

    DAMAGE = {"subscriptions": {"status": 5}, "api-keys": {"revoked": "no"}, "environments": {"hrids": 5},
              "organizations": {"hrids": 5}}

    def damage(self, folder, id):
        """What half a document is to files: a row that cannot be read."""
        self.mongo.db[{"api-keys": "keys"}.get(folder, folder)].update_one(
            {"_id": id}, {"$set": {**self.DAMAGE[folder], "updatedAt": date(now_ms())}})

    def remove(self, path):
        """APIs, products and dictionaries as the Management API removes them; other rows just go."""
        folder = path.split("/")[0]
        id = self.of_path[path]
        if folder == "apis":
            self.event(id, "UNPUBLISH_API")
        elif folder == "dictionaries":
            self.event(id, "UNPUBLISH_DICTIONARY", property="dictionary_id")
        elif folder == "api-products":
            self.event(id, "UNDEPLOY_API_PRODUCT", property="api_product_id")
        else:
            self.mongo.db[{"api-keys": "keys"}.get(folder, folder)].delete_one({"_id": id})
            if any(n.process for n in self.nodes):
                self.compare()

    def compare(self):
        """A look at the whole source, now."""
        self.primary().cli("compare")

    def lose_source(self):
        self.mongo.process.kill()
        self.mongo.process.wait()

    def return_source(self):
        self.mongo.start()

    def load_definitions(self):
        ids = []
        for f in sorted(z.DEFINITIONS.glob("*.json")):
            d = json.loads(f.read_text())
            self.event(d["id"], "PUBLISH_API", bean(d))
            ids.append(d["id"])
        return ids

    def abandon(self):
        super().abandon()
        self.mongo.stop()
