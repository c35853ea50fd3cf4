# Uses what python-etcd has for users, roles and the flag, on the port that is given, and
# prints what comes of it. test_auth.py, which python-etcd comes with, does less.
import logging
import sys

import etcd
from etcd import auth

logging.disable(logging.CRITICAL)
port = int(sys.argv[1])


def client(user=None, password=None):
    return etcd.Client(port=port, username=user, password=password)


def show(what, do):
    try:
        print(what, "=", do())
    except Exception as e:
        print(what, "fails:", type(e).__name__, e)


def write(entity, **fields):
    for name, value in fields.items():
        setattr(entity, name, value)
    entity.write()


def read(entity):
    entity.read()
    return sorted(entity.roles) if isinstance(entity, auth.EtcdUser) else sorted(entity.acls.items())


def activate(who, value):
    auth.Auth(who).active = value


guest, root, user = client(), client("root", "pw"), client("u", "p")
show("active", lambda: auth.Auth(guest).active)
show("enable without root", lambda: activate(guest, True))
show("missing user", lambda: read(auth.EtcdUser(guest, "u")))
show("missing role", lambda: read(auth.EtcdRole(guest, "r")))
show("root", lambda: write(auth.EtcdUser(guest, "root"), password="pw"))
show("role", lambda: write(auth.EtcdRole(guest, "r"), acls={"/r": "R", "/r/*": "RW", "/w": "W"}))
show("read role", lambda: read(auth.EtcdRole(guest, "r")))
show("user", lambda: write(auth.EtcdUser(guest, "u"), password="p", roles=[]))
show("read user", lambda: read(auth.EtcdUser(guest, "u")))
show("grant", lambda: write(auth.EtcdUser(guest, "u"), roles=["r"]))
show("read user with a role", lambda: read(auth.EtcdUser(guest, "u")))
show("revoke a path", lambda: write(auth.EtcdRole(guest, "r"), acls={"/r/*": "RW"}))
show("read role", lambda: read(auth.EtcdRole(guest, "r")))
show("users", lambda: len(auth.EtcdUser(guest, "any").names))
show("roles", lambda: len(auth.EtcdRole(guest, "any").names))
show("enable", lambda: activate(guest, True))
show("active", lambda: auth.Auth(guest).active)
show("guest's role", lambda: read(auth.EtcdRole(root, "guest")))
show("close guest", lambda: write(auth.EtcdRole(root, "guest"), acls={}))
show("guest writes", lambda: guest.write("/r/k", 1).value)
show("guest reads", lambda: guest.read("/r").value)
show("guest watches", lambda: guest.watch("/r", timeout=2))
show("user writes", lambda: user.write("/r/k", 1).value)
show("user appends", lambda: user.write("/r/q", 1, append=True).value)
show("user reads", lambda: user.read("/r/k").value)
show("user reads elsewhere", lambda: user.read("/w").value)
show("user deletes", lambda: user.delete("/r/k").action)
show("user lists users", lambda: auth.EtcdUser(user, "any").names)
show("user makes a role", lambda: write(auth.EtcdRole(user, "s"), acls={"/": "R"}))
show("wrong password", lambda: client("u", "x").read("/r/k").value)
show("members", lambda: len(guest.members))
show("remove the role", lambda: auth.EtcdRole(root, "r").delete())
show("user reads without it", lambda: user.read("/r/q").value)
show("remove the user", lambda: auth.EtcdUser(root, "u").delete())
show("remove it again", lambda: auth.EtcdUser(root, "u").delete())
show("remove root", lambda: auth.EtcdUser(root, "root").delete())
show("disable", lambda: activate(root, False))
show("guest reads", lambda: guest.read("/r", sorted=True).dir)
