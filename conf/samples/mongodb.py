#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The samples as rows of a management database, as the Management API writes them.

  mongodb.py URI load [DIR...]         every document below apis/, subscriptions/, ... of DIR
  mongodb.py URI publish FILE VERSION  an API again, with that apiVersion

For trying things out: against a real management database use its console.
"""
import datetime
import json
import pathlib
import sys
import time

import pymongo

DATES = ("createdAt", "updatedAt", "startingAt", "endingAt", "expireAt", "closedAt", "revokedAt")
COLLECTIONS = {"api-keys": "keys", "subscriptions": "subscriptions", "environments": "environments",
               "organizations": "organizations", "installation": "installation"}
EVENTS = {"dictionaries": ("PUBLISH_DICTIONARY", "dictionary_id", "id"),
          "shared-policy-groups": ("DEPLOY_SHARED_POLICY_GROUP", "shared_policy_group_id", "id"),
          "authz-entities": ("PUBLISH_AUTHZ_ENTITY", "authz_entity_id", "entityId"),
          "authz-policies": ("PUBLISH_AUTHZ_POLICY", "authz_policy_id", "id")}


def date(ms):
    return datetime.datetime(1970, 1, 1) + datetime.timedelta(milliseconds=ms)


def now_ms():
    return int(time.time() * 1000)


def bean(definition, state="STARTED", environment="DEFAULT"):
    """The payload of an API's event: the definition is a text in it."""
    v4 = "4.0.0" in (definition.get("definitionVersion"), definition.get("gravitee")) or "listeners" in definition
    b = {"id": definition["id"], "environmentId": environment, "name": definition.get("name"),
         "definitionVersion": "4.0.0" if v4 else "2.0.0", "definition": json.dumps(definition),
         "lifecycleState": state}
    if v4:
        b["type"] = definition.get("type", "proxy")
    return json.dumps(b)


def row_of(document):
    """A document's row: `id` is _id, integers of ms are dates."""
    row = dict(document)
    row["_id"] = row.pop("id", row.get("_id"))
    for k in DATES:
        if isinstance(row.get(k), int) and not isinstance(row[k], bool):
            row[k] = date(row[k])
    return row


def put(db, collection, row):
    db[collection].replace_one({"_id": row["_id"]}, row, upsert=True)


def put_event(db, id, type, property, payload):
    last = db["events_latest"].find_one({"_id": id}) or {"properties": {}}
    number = int(last["properties"].get("deployment_number", 0)) + 1
    at = now_ms()
    put(db, "events_latest", row_of({
        "id": id, "type": type, "payload": payload, "createdAt": at, "updatedAt": at, "environments": ["DEFAULT"],
        "organizations": ["DEFAULT"], "properties": {property: id, "deployment_number": str(number)}}))


def load(db, folder):
    for f in sorted(pathlib.Path(folder).glob("*/*.json")):
        document = json.loads(f.read_text())
        if f.parent.name == "apis":
            put_event(db, document["id"], "PUBLISH_API", "api_id", bean(document))
        elif f.parent.name in EVENTS:
            type, property, id = EVENTS[f.parent.name]
            put_event(db, document[id], type, property, json.dumps(document))
        elif f.parent.name == "access-points":
            put(db, "access_points", row_of({
                "referenceType": "ENVIRONMENT", "referenceId": document.pop("environmentId"), "status": "CREATED",
                "updatedAt": now_ms(), **document}))
        elif f.parent.name == "licenses":
            put(db, "licenses", {"_id": {"referenceId": document["id"], "referenceType": "ORGANIZATION"},
                                 "license": document["license"], "updatedAt": date(now_ms())})
        elif f.parent.name == "api-products":
            put_event(db, document["id"], "DEPLOY_API_PRODUCT", "api_product_id", json.dumps(document))
        elif f.parent.name in COLLECTIONS:
            put(db, COLLECTIONS[f.parent.name], row_of(document))


def main(args):
    if len(args) < 2 or args[1] not in ("load", "publish"):
        sys.exit(__doc__)
    db = pymongo.MongoClient(args[0], serverSelectionTimeoutMS=10000).get_default_database()
    db.command("ping")
    if args[1] == "load":
        for folder in args[2:]:
            load(db, folder)
    else:
        document = json.loads(pathlib.Path(args[2]).read_text())
        document["apiVersion"] = args[3]
        put_event(db, document["id"], "PUBLISH_API", "api_id", bean(document))


if __name__ == "__main__":
    main(sys.argv[1:])
