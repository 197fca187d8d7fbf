"""Runs a consumer as it stands in its file; supplies the server, process() and what was read."""

import json
import os
import sys

import redis

connect = redis.Redis.from_url
redis.Redis.from_url = lambda _url: connect(os.environ["REDIS_URI"])


def process(event):
    print(json.dumps(event), flush=True)


def read_all(r):
    r.xgroup_create("orders.events", "mygroup", id="0", mkstream=True)
    [[_stream, messages]] = r.xreadgroup("mygroup", "worker1", {"orders.events": ">"})
    return messages


def add(r):
    for line in sys.stdin:
        r.xadd("orders.events", {"event": line.rstrip("\n")})


what = sys.argv[1]
names = {"process": process}
if what != "groupConsumer.py":
    r = redis.Redis.from_url("redis://localhost:6379")
if what == "add":
    add(r)
else:
    if what == "idempotentConsumer.py":
        names.update(json=json, r=r, messages=read_all(r))
    file = os.path.join(os.path.dirname(__file__), what)
    with open(file) as source:
        exec(compile(source.read(), file, "exec"), names)
