"""Adds a signed pixel URL (version 2, docs/signatures.md) to each row of a mail merge. Python 3.8 or later.

    PIXELSHIP_SECRET=... python mailmerge.py --to mail.opens [--unsigned '&id=*|UNIQID|*'] < in.csv > out.csv

Needs the columns `key` and `canonical`; signs those that --sign names too; leaves --unsigned to the mailer.
"""
import argparse, base64, csv, hashlib, hmac, os, re, sys
from urllib.parse import quote


def netstring(text):
    return b"%d:%b," % (len(text.encode()), text.encode())


def sign(params, secret, base):
    names = sorted(params)
    if len(names) > 32 or not all(re.fullmatch("[A-Za-z0-9_-]{1,64}", name) and name != "s" for name in names):
        raise SystemExit(f"Not all of {', '.join(names)} can be signed: rename them, 32 at most.")
    key_id = hmac.new(secret, b"pixelship key id", hashlib.sha256).hexdigest()[:8]
    pairs = b"".join(netstring(name) + netstring(params[name]) for name in names)
    digest = hmac.new(secret, f"pixelship-2.{key_id}.".encode() + pairs, hashlib.sha256).digest()
    signature = base64.urlsafe_b64encode(digest).decode().rstrip("=")
    query = "".join(f"&{name}={quote(value, safe='')}" for name, value in params.items())
    return f"{base}?s=2.{key_id}.{'~'.join(names)}.{signature}{query}"


parser = argparse.ArgumentParser()
parser.add_argument("--to", required=True, help="the table, as DATASET.TABLE")
parser.add_argument("--base", default="https://px.example.org/pixel.gif", help="the pixel's URL")
parser.add_argument("--sign", nargs="*", default=[], metavar="COLUMN", help="columns to sign too")
parser.add_argument("--unsigned", default="", help="put behind the URL as it is")
options, secret = parser.parse_args(), os.environ["PIXELSHIP_SECRET"].encode()
sys.stdin.reconfigure(encoding="utf-8-sig")
rows = csv.DictReader(sys.stdin)
out = csv.DictWriter(sys.stdout, [*rows.fieldnames, "url"], lineterminator="\n")
out.writeheader()
for row in rows:
    view = {"k": row["key"], "d": options.to, **{name: row[name] for name in options.sign}, "c": row["canonical"]}
    out.writerow({**row, "url": sign(view, secret, options.base) + options.unsigned})
