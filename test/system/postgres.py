# SPDX-License-Identifier: Apache-2.0
"""A management database for tests in PostgreSQL: one server a test process, one database a test.

What is asked for here in the words of pymongo becomes rows of storage 4b, so that a test can be of both databases.
"""
import atexit
import glob
import json
import os
import pathlib
import pwd
import select
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import threading

import psycopg2
import psycopg2.extras

import zone as z
from mongo import NOW, MongoZone, row_of  # noqa: F401

SCHEMA = pathlib.Path(__file__).with_name("postgres.sql").read_text()
USER = "postgres"  # the server refuses to run as root
READER, PASSWORD = "reader", "reader-secret"


def binary(name):
    found = sorted(glob.glob(f"/usr/lib/postgresql/*/bin/{name}"))
    return found[-1] if found else shutil.which(name)


class Server:
    """A cluster of our own. Its order of texts is that of a language, and not that of the bytes."""

    one = None

    @classmethod
    def get(cls):
        if cls.one is None:
            cls.one = cls()
            atexit.register(cls.one.remove)
        return cls.one

    def __init__(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="zs-pg-"))
        self.port = z.free_port()
        self.process = None
        self.databases = 0
        self.user = {}
        if os.geteuid() == 0:
            who = pwd.getpwnam(USER)
            os.chown(self.dir, who.pw_uid, who.pw_gid)
            self.user = {"user": who.pw_uid, "group": who.pw_gid, "extra_groups": []}
        subprocess.run([binary("initdb"), "-D", self.dir / "db", "-U", "postgres", "-A", "trust", "--no-sync", "-E", "UTF8",
                        "--locale=C.UTF-8", "--locale-provider=icu", "--icu-locale=en"],
                       check=True, capture_output=True, cwd=self.dir, **self.user)
        (self.dir / "db" / "pg_hba.conf").write_text("local all,replication all trust\nhost all all 127.0.0.1/32 scram-sha-256\n")
        self.start()
        with self.connect("postgres") as c:
            c.cursor().execute(f"CREATE ROLE {READER} LOGIN PASSWORD '{PASSWORD}'")
        with self.database("template", "template0") as c:
            c.cursor().execute(SCHEMA)

    def start(self, *more):
        self.process = subprocess.Popen(
            [binary("postgres"), "-D", self.dir / "db", "-k", self.dir, "-c", "listen_addresses=127.0.0.1", "-p", str(self.port),
             "-c", "fsync=off", "-c", "full_page_writes=off", "-c", "shared_buffers=64MB", "-c", "autovacuum=off", *more],
            stdout=open(self.dir / "log", "ab"), stderr=subprocess.STDOUT, cwd=self.dir, **self.user)
        z.until("PostgreSQL answers", self.answers)
        return self

    def answers(self):
        try:
            self.connect("postgres").close()
            return True
        except psycopg2.Error as e:
            return ValueError(e)

    def connect(self, database):
        c = psycopg2.connect(host=str(self.dir), port=self.port, user="postgres", dbname=database)
        c.autocommit = True
        return c

    def database(self, name, template="template"):
        c = self.connect("postgres")
        c.cursor().execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        c.close()
        return self.connect(name)

    def pids(self):
        """The server's processes: the first one, and its children."""
        out = subprocess.run(["ps", "-o", "pid=", "--ppid", str(self.process.pid)], capture_output=True).stdout
        return [self.process.pid, *map(int, out.split())]

    def send(self, sig):
        for pid in self.pids():
            try:
                os.kill(pid, sig)
            except ProcessLookupError:
                pass

    def stop(self, sig=signal.SIGQUIT):
        if self.process:
            self.send(signal.SIGCONT)
            self.process.send_signal(sig)
            self.process.wait()
            self.process = None

    def remove(self):
        self.stop()
        shutil.rmtree(self.dir, ignore_errors=True)


class Standby(Server):
    """A copy of a cluster that follows it until it is promoted."""

    def __init__(self, primary):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="zs-pg-"))
        self.port = z.free_port()
        self.process = None
        self.user = primary.user
        if self.user:
            os.chown(self.dir, self.user["user"], self.user["group"])
        subprocess.run([binary("pg_basebackup"), "-h", primary.dir, "-p", str(primary.port), "-U", "postgres", "-D", self.dir / "db",
                        "-R", "-c", "fast", "--no-sync"], check=True, capture_output=True, cwd=self.dir, **self.user)
        self.start("-c", "wal_receiver_status_interval=1")

    def promote(self):
        self.connect("postgres").cursor().execute("SELECT pg_promote()")


class Proxy(threading.Thread):
    """Between a node and the server: counts questions, and fails those it is told to fail."""

    def __init__(self, target):
        super().__init__(daemon=True)
        self.target = target
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.lock = threading.Lock()
        self.skip, self.times, self.how, self.what = 0, 0, None, b""
        self.asked = 0
        self.over = False
        self.start()

    def fail(self, how, skip=0, times=1 << 30, what=b""):
        """`what`: of the text of the question."""
        with self.lock:
            self.how, self.skip, self.times, self.what = how, skip, times, what

    def run(self):
        while not self.over:
            try:
                c, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(c,), daemon=True).start()

    def stop(self):
        self.over = True
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()

    def verdict(self, question):
        with self.lock:
            self.asked += 1
            if self.how is None or self.times == 0 or self.what not in question:
                return None
            if self.skip > 0:
                self.skip -= 1
                return None
            self.times -= 1
            return self.how

    def serve(self, client):
        try:
            head = client.recv(8, socket.MSG_WAITALL)
            if head[4:] == struct.pack("!I", 80877103):  # no TLS
                client.sendall(b"N")
                head = client.recv(8, socket.MSG_WAITALL)
            server = socket.create_connection(self.target)
        except OSError:
            client.close()
            return
        try:
            server.sendall(head)
            rest = struct.unpack("!I", head[:4])[0] - 8
            server.sendall(client.recv(rest, socket.MSG_WAITALL))
            self.relay(client, server)
        except (OSError, struct.error):  # gone before it said what it wants
            pass
        client.close()
        server.close()

    def relay(self, client, server):
        pending, drop = b"", False
        while True:
            ready, _, _ = select.select([client, server], [], [])
            if server in ready:
                data = server.recv(65536)
                if not data:
                    return
                client.sendall(data)
            if client not in ready:
                continue
            data = client.recv(65536)
            if not data:
                return
            pending += data
            while len(pending) >= 5 and len(pending) > struct.unpack("!I", pending[1:5])[0]:
                n = struct.unpack("!I", pending[1:5])[0] + 1
                message, pending = pending[:n], pending[n:]
                if message[:1] == b"P":  # the first message of a question
                    how = self.verdict(message)
                    if how == "close":
                        return
                    drop = how == "error"
                if not drop:
                    server.sendall(message)
                elif message[:1] == b"S":
                    body = b"SERROR\0VERROR\0C57014\0Mit was told to fail\0\0"
                    client.sendall(b"E" + struct.pack("!I", len(body) + 4) + body + b"Z\0\0\0\5I")
                    drop = False


# --- rows ---

DATES = ("createdAt", "updatedAt", "startingAt", "endingAt", "expireAt", "closedAt", "revokedAt")
CHILDREN = {  # member: table, column of the row's id, name (of a map), value
    ("events_latest", "properties"): ("events_latest_properties", "event_id", "property_key", "property_value"),
    ("events_latest", "environments"): ("events_latest_environments", "event_id", None, "environment_id"),
    ("events_latest", "organizations"): ("events_latest_organizations", "event_id", None, "organization_id"),
    ("subscriptions", "metadata"): ("subscriptions_metadata", "subscription_id", "k", "v"),
    ("keys", "subscriptions"): ("key_subscriptions", "key_id", None, "subscription_id"),
    ("environments", "hrids"): ("environment_hrids", "environment_id", None, "hrid"),
    ("organizations", "hrids"): ("organization_hrids", "organization_id", None, "hrid"),
}

def column(member):
    return "".join("_" + c.lower() if c.isupper() else c for c in member.replace("_id", "id"))


class Collection:
    """As much of pymongo's as the tests use, over a table and its children."""

    def __init__(self, database, name):
        self.database, self.name = database, name

    @property
    def table(self):
        return self.database.prefix + self.name

    def run(self, sql, *args):
        cursor = self.database.connection().cursor()
        cursor.execute(sql, args)
        return cursor

    def columns(self):
        """What else a document has is no part of a row."""
        known = self.database.columns
        if self.table not in known:
            known[self.table] = {d.name for d in self.run(f'SELECT * FROM "{self.table}" LIMIT 0').description}
        return known[self.table]

    def insert_one(self, row):
        row = {k: v for k, v in row.items() if v is not None}
        id = row["_id"]
        mine = {column(k): v for k, v in row.items() if column(k) in self.columns()}
        self.run(f'INSERT INTO "{self.table}" ({", ".join(chr(34) + k + chr(34) for k in mine)}) '
                 f'VALUES ({", ".join("%s" for _ in mine)})', *mine.values())
        self.insert_children(id, row)

    def insert_children(self, id, row):
        for (name, member), (table, parent, key, value) in CHILDREN.items():
            if name != self.name or member not in row:
                continue
            table = self.database.prefix + table
            items = row[member].items() if key else enumerate(row[member])
            for at, v in items:
                columns, values = [parent, value], [id, v]
                if key:
                    columns, values = columns + [key], values + [at]
                elif "hrid" in table:
                    columns, values = columns + ["pos"], values + [at]
                self.run(f'INSERT INTO "{table}" ({", ".join(columns)}) VALUES ({", ".join("%s" for _ in values)})', *values)

    def insert_many(self, rows, ordered=True):
        for row in rows:
            self.insert_one(row)

    def ids(self, query):
        if not query:
            return [i for i, in self.run(f'SELECT id FROM "{self.table}"').fetchall()]
        id = query["_id"]
        wanted = id["$in"] if isinstance(id, dict) else [id]
        return [i for i, in self.run(f'SELECT id FROM "{self.table}" WHERE id = ANY(%s)', wanted).fetchall()]

    def delete_children(self, id):
        for (name, _), (table, parent, *_) in CHILDREN.items():
            if name == self.name:
                self.run(f'DELETE FROM "{self.database.prefix}{table}" WHERE {parent} = %s', id)

    def delete_many(self, query):
        for id in self.ids(query):
            self.delete_children(id)
            self.run(f'DELETE FROM "{self.table}" WHERE id = %s', id)

    delete_one = delete_many

    def drop(self):
        self.delete_many({})

    def find_one(self, query):
        for id in self.ids(query):
            c = self.run(f'SELECT * FROM "{self.table}" WHERE id = %s', id)
            row = {d.name: v for d, v in zip(c.description, c.fetchone()) if v is not None}
            members = {column(m): m for m in MEMBERS}
            out = {"_id": row.pop("id"), **{members.get(k, k): v for k, v in row.items()}}
            for (name, member), (table, parent, key, value) in CHILDREN.items():
                if name != self.name:
                    continue
                order = "pos" if "hrid" in table else key or value
                rows = self.run(f'SELECT {key or value}, {value} FROM "{self.database.prefix}{table}" WHERE {parent} = %s '
                                f'ORDER BY {order}', id).fetchall()
                out[member] = dict(rows) if key else [v for _, v in rows]
            return out
        return None

    def update_row(self, id, row):
        """As the Management API does it: what hangs on the row is written anew."""
        mine = {column(k): v for k, v in row.items() if column(k) in self.columns() and v is not None and k != "_id"}
        sets = ", ".join(f'"{c}" = {"%s" if c in mine else "DEFAULT"}' for c in sorted(self.columns() - {"id"}))
        self.run(f'UPDATE "{self.table}" SET {sets} WHERE id = %s', *(mine[c] for c in sorted(mine)), id)
        self.delete_children(id)
        self.insert_children(id, {k: v for k, v in row.items() if v is not None})

    def replace_one(self, query, row, upsert=False):
        connection = self.database.connection()
        self.run("BEGIN")
        try:
            if "id" in self.columns() and self.ids(query):
                self.update_row(query["_id"], row)
            else:
                self.delete_many(query)
                self.insert_one({**row, "_id": query["_id"]})
            self.run("COMMIT")
        except BaseException:
            connection.cursor().execute("ROLLBACK")
            raise

    def update_many(self, query, change):
        for id in self.ids(query):
            row = self.find_one({"_id": id})
            for k, v in change.get("$set", {}).items():
                if "." in k:
                    row[k.split(".")[0]][k.split(".")[1]] = v
                else:
                    row[k] = v
            for k in change.get("$unset", {}):
                row.pop(k, None)
            for k, v in change.get("$push", {}).items():
                row[k] = [*row.get(k, []), v]
            self.replace_one({"_id": id}, row)

    update_one = update_many


MEMBERS = ["createdAt", "updatedAt", "startingAt", "endingAt", "expireAt", "environmentId", "organizationId", "applicationName",
           "clientId", "clientCertificate", "consumerStatus", "referenceId", "referenceType"]


class Database:
    """What tests call zone.mongo: the database of one zone."""

    def __init__(self, base):
        self.server = None
        self.name = pathlib.Path(base).parent.name + "-" + os.urandom(3).hex()
        self.prefix = ""
        self.columns = {}  # of each table
        self.proxy = None
        self.kept = None
        self.user, self.password = READER, PASSWORD
        self.options = "connectTimeout=2&socketTimeout=2"

    def start(self):
        if self.server is None:
            self.server = Server.get()
            if self.server.process is None:
                self.server.start()
            self.server.database(self.name).close()
            self.proxy = Proxy(("127.0.0.1", self.server.port))
        elif self.server.process is None:
            self.server.start()
        return self

    @property
    def port(self):
        return self.proxy.port

    @property
    def process(self):
        return self.server.process if self.server else None

    @property
    def uri(self):
        return f"jdbc:postgresql://127.0.0.1:{self.port}/{self.name}?{self.options}"

    def connection(self):
        if self.kept is None or self.kept.closed:
            self.start()
            self.kept = self.server.connect(self.name)
        return self.kept

    def run(self, sql, *args):
        cursor = self.connection().cursor()
        cursor.execute(sql, args or None)
        return cursor

    def psql(self, sql):
        """As an administrator would feed it; what the server says on the way."""
        self.start()
        done = subprocess.run([binary("psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1", "-h", self.server.dir, "-p", str(self.server.port),
                               "-U", "postgres", "-d", self.name], input=sql, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stderr

    @property
    def db(self):
        return self

    def __getitem__(self, name):
        return Collection(self, name)

    def fail(self, commands, mode="alwaysOn", errorCode=None, closeConnection=None):
        mode = {} if mode == "alwaysOn" else mode
        self.start()
        self.proxy.fail("close" if closeConnection else "error", **mode, what=b"SELECT t." if commands == ["find"] else b"")

    def fail_after(self, n, how):
        self.start()
        self.proxy.fail(how, n, 1)

    def heal(self):
        self.proxy.fail(None)

    def pause(self):
        self.server.send(signal.SIGSTOP)

    def resume(self):
        self.server.send(signal.SIGCONT)

    def kill(self, sig=signal.SIGQUIT):
        """SIGQUIT ends it as a crash would, its children with it."""
        if self.kept:
            self.kept.close()
        self.server.stop(sig)

    def stop(self):
        if self.kept:
            self.kept.close()
        if self.proxy:
            self.proxy.stop()
        if self.server and self.server.process:
            self.resume()
            c = self.server.connect("postgres")
            c.cursor().execute(f'DROP DATABASE IF EXISTS "{self.name}" WITH (FORCE)')
            c.close()
        self.server = None


class PostgresZone(MongoZone):
    """A zone whose source is a database of PostgreSQL."""

    SOURCE = "jdbc"
    DATABASE = Database
    more_source = ""

    def source(self, data=None):
        return (f"management:\n  type: jdbc\n  jdbc:\n    url: {self.mongo.uri}\n    username: {self.mongo.user}\n"
                f"    password: {self.mongo.password}\n{self.more_source}")

    def setup_notify(self, *args):
        config = self.base / "setup.yml"
        self.mongo.start()
        config.write_text(self.config("setup"))
        sql = subprocess.run([z.BUILD / "supervisor/cli/zonesync", "setup", "postgres-notify", config, *args], check=True,
                             capture_output=True, text=True).stdout
        return self.mongo.psql(sql)

    def lose_source(self):
        self.mongo.kill()

    def damage(self, folder, id):
        """A row that cannot be read: the types of the columns leave little to get wrong."""
        sql = {"subscriptions": "UPDATE subscriptions SET status = '5', updated_at = timezone('UTC', now()) WHERE id = %s",
               "api-keys": "UPDATE keys SET updated_at = 'infinity' WHERE id = %s"}[folder]
        self.mongo.run(sql, id)
