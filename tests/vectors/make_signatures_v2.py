"""Writes signatures-v2.json: an implementation of version 2 apart from the package, by its specification.

    python tests/vectors/make_signatures_v2.py > tests/vectors/signatures-v2.json

It knows nothing but docs/signatures.md, and imports nothing but the standard library.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import sys
from urllib.parse import quote

SECRET = "some-secret"
OTHER = "another secret"
NOON = 1_763_726_400  # 2025-11-21 12:00:00 UTC
STORY = {"k": "story-1", "c": "https://www.example.org/a?b=1&c=é", "d": "news.pageviews"}


def mac(secret: str, message: bytes) -> bytes:
    return hmac.new(secret.encode(), message, hashlib.sha256).digest()


def key_id(secret: str) -> str:
    return mac(secret, b"pixelship key id").hex()[:8]


def netstring(text: str) -> bytes:
    octets = text.encode()
    return str(len(octets)).encode() + b":" + octets + b","


def message(secret: str, names: list[str], params: dict[str, str]) -> bytes:
    pairs = [netstring(name) + netstring(params[name]) for name in names]
    return b"pixelship-2." + key_id(secret).encode() + b"." + b"".join(pairs)


def signature(params: dict[str, str], secret: str = SECRET, names: list[str] | None = None) -> str:
    names = sorted(params) if names is None else names
    digest = base64.urlsafe_b64encode(mac(secret, message(secret, names, params)))
    return f"2.{key_id(secret)}.{'~'.join(names)}.{digest.rstrip(b'=').decode()}"


def query(params: dict[str, str], s: str | None = None) -> str:
    pairs = [f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in params.items()]
    return "&".join([f"s={s or signature(params)}", *pairs])


def accept(name: str, params: dict[str, str], **changes: object) -> dict[str, object]:
    """A case that counts; `changes` says what is unlike the plain one."""
    return {
        "name": name, "secret": SECRET, "params": params, "s": signature(params),
        "message": message(SECRET, sorted(params), params).decode(),
        "query": query(params), "time": NOON, "extras": {}, "reason": None, **changes,
    }  # fmt: skip


def refuse(name: str, text: str, reason: str, time: int = NOON) -> dict[str, object]:
    return {"name": name, "secret": SECRET, "query": text, "time": time, "reason": reason}


def accepted() -> list[dict[str, object]]:
    plain = query(STORY)
    s = signature(STORY)
    timed = {**STORY, "nbf": str(NOON), "exp": str(NOON + 60)}
    most = {**STORY, **{f"p{number:02}": str(number) for number in range(29)}}
    return [
        accept("three parameters", STORY),
        accept("parameters in another order", STORY, query=query(dict(reversed(STORY.items())), s)),
        accept("s at the end", STORY, query=f"{plain.partition('&')[2]}&s={s}"),
        accept("every character escaped", STORY, query="&".join(
            f"{name}={''.join(f'%{octet:02x}' for octet in value.encode())}"
            for name, value in {"s": s, **STORY}.items())),
        accept("no more escaped than need be", STORY, query=f"s={s}&k=story-1&d=news.pageviews&c=https://www.example.org/a?b=1%26c=é"),
        accept("a plus for a space", {**STORY, "k": "my key"}, query=query({**STORY, "k": "my key"}).replace("%20", "+")),
        accept("empty pieces", STORY, query=f"&&{plain}&&"),
        accept("parameters appended", STORY, query=f"{plain}&utm_source=mail&cb=123", extras={"utm_source": "mail", "cb": "123"}),
        accept("parameters put before", STORY, query=f"cb=123&{plain}", extras={"cb": "123"}),
        accept("an unsigned parameter twice: the first is kept", STORY, query=f"{plain}&x=1&x=2", extras={"x": "1"}),
        accept("an unsigned merge tag", STORY, query=f"{plain}&id=*|UNIQID|*", extras={"id": "*|UNIQID|*"}),
        accept("an unsigned parameter that is not UTF-8", STORY, query=f"{plain}&x=caf%E9", extras={"x": "caf\ufffd"}),
        accept("an unsigned NUL", STORY, query=f"{plain}&x=%00", extras={"x": "\ufffd"}),
        accept("an unsigned exp sets no bound", STORY, query=f"{plain}&exp=1", extras={"exp": "1"}),
        accept("further signed parameters", {**STORY, "issue": "12", "A-_9": "", "a": "x"}),
        accept("an empty value", {**STORY, "note": ""}),
        accept("what looks like a netstring", {**STORY, "note": "1:a,1:b,"}),
        accept("separators in a value", {**STORY, "note": "a&b=c%20d+e~f.g"}),
        accept("quotes and control characters", {**STORY, "k": "\"'\\\t\n\r\x01\x7f"}),
        accept("beyond the basic plane", {**STORY, "k": "🎧 日本語 \uff5e"}),
        accept("not normalised: e and a combining accent", {**STORY, "k": "e\u0301"}),
        accept("a name of 64 characters", {**STORY, "x" * 64: "1"}),
        accept("32 names", most),
        accept("names that are numbers", {**STORY, "10": "a", "9": "b", "0": "c"}),
        accept("capitals before small letters", {**STORY, "Z": "1", "_": "2", "a": "3"}),
        accept("at its nbf", timed),
        accept("a second before its exp", timed, time=NOON + 59),
        accept("leading zeros", {**STORY, "exp": f"00{NOON + 60}"}),
        accept("a secret of more than 64 bytes", STORY, secret="s" * 70, s=signature(STORY, "s" * 70),
               message=message("s" * 70, sorted(STORY), STORY).decode(), query=query(STORY, signature(STORY, "s" * 70))),
        accept("a secret that is not ASCII", STORY, secret="Schlüssel", s=signature(STORY, "Schlüssel"),
               message=message("Schlüssel", sorted(STORY), STORY).decode(), query=query(STORY, signature(STORY, "Schlüssel"))),
    ]  # fmt: skip


def refused() -> list[dict[str, object]]:
    plain, s = query(STORY), signature(STORY)
    names = sorted(STORY)
    timed = {**STORY, "nbf": str(NOON), "exp": str(NOON + 60)}

    def listed(names: list[str], params: dict[str, str] = STORY) -> str:
        return query(params, signature(params, names=names))

    def without(name: str) -> dict[str, str]:
        return {each: value for each, value in STORY.items() if each != name}

    return [
        refuse("a value changed", plain.replace("story-1", "story-2"), "tampered"),
        refuse("a value's case changed", plain.replace("story-1", "Story-1"), "tampered"),
        refuse("a value escaped four times", plain.replace("%26", "%25252526"), "tampered"),
        refuse("a value normalised", query({**STORY, "k": "\u00e9"}, signature({**STORY, "k": "e\u0301"})), "tampered"),
        refuse("a signed parameter taken away", plain.replace("&k=story-1", ""), "tampered"),
        refuse("a signed parameter renamed", plain.replace("&k=", "&K="), "tampered"),
        refuse("the list shortened", plain.replace("c~d~k", "c~d"), "tampered"),
        refuse("the list lengthened", plain.replace("c~d~k", "c~d~k~x") + "&x=1", "tampered"),
        refuse("bytes moved from a name to its value", query({"k": "a", "c": "b", "d": "a.b", "x": "yz"}, signature({"k": "a", "c": "b", "d": "a.b", "xy": "z"}).replace("xy", "x")), "tampered"),
        refuse("the signature of other parameters", query(STORY, signature({**STORY, "k": "story-2"})), "tampered"),
        refuse("a bit of the signature changed", plain.replace(s[-43:], ("A" if s[-43] != "A" else "B") + s[-42:]), "tampered"),
        refuse("the same 32 bytes in another spelling", plain.replace(s, s[:-1] + chr(ord(s[-1]) + 1)), "tampered"),
        refuse("another secret under this key's id", query(STORY, signature(STORY, OTHER).replace(key_id(OTHER), key_id(SECRET))), "tampered"),
        refuse("a key that nobody knows", query(STORY, signature(STORY, OTHER)), "unknown-key"),
        refuse("a signed parameter twice", f"{plain}&k=story-1", "malformed"),
        refuse("a signed parameter twice, once escaped", f"{plain}&%6b=story-2", "malformed"),
        refuse("s twice", f"{plain}&s={s}", "malformed"),
        refuse("a name twice in the list", listed(["c", "d", "d", "k"]), "malformed"),
        refuse("the list not in order", listed(["d", "c", "k"]), "malformed"),
        refuse("the list sorted without regard to case", listed(["c", "d", "k", "Z"], {**STORY, "Z": "1"}), "malformed"),
        refuse("no list", query(STORY, s.replace("c~d~k", "")), "malformed"),
        refuse("an empty name in the list", listed(["", *names], {"": "x", **STORY}), "malformed"),
        refuse("s in the list", listed([*names, "s"], {**STORY, "s": "x"}).replace("&s=x", ""), "malformed"),
        refuse("33 names", query({**STORY, **{f"p{number:02}": "" for number in range(30)}}), "malformed"),
        refuse("a name of 65 characters", query({**STORY, "x" * 65: "1"}), "malformed"),
        refuse("a name beyond the permitted characters", query({**STORY, "a.b": "1"}), "malformed"),
        refuse("the key's id in capitals", plain.replace(key_id(SECRET), key_id(SECRET).upper()), "malformed"),
        refuse("a signature that is padded", plain.replace(s, s + "="), "malformed"),
        refuse("a signature with + and / for - and _", plain.replace(s[-43:], s[-43:-2] + "%2B%2F"), "malformed"),
        refuse("a version that is none", plain.replace("s=2.", "s=3."), "tampered"),
        refuse("a signed value that is not UTF-8", plain.replace("story-1", "story%FF"), "malformed"),
        refuse("a signed value with a NUL", plain.replace("story-1", "story%00"), "malformed"),
        refuse("a second before its nbf", query(timed), "not-yet", NOON - 1),
        refuse("at its exp", query(timed), "expired", NOON + 60),
        refuse("no number", query({**STORY, "exp": "tomorrow"}), "bad-bounds"),
        refuse("a fraction", query({**STORY, "nbf": "1.5"}), "bad-bounds"),
        refuse("below zero", query({**STORY, "nbf": "-1"}), "bad-bounds"),
        refuse("an empty bound", query({**STORY, "exp": ""}), "bad-bounds"),
        refuse("a line's end behind the number", query({**STORY, "exp": f"{NOON + 60}\n"}), "bad-bounds"),
        refuse("digits of another script", query({**STORY, "exp": "１７６３７２６４６０"}), "bad-bounds"),
        refuse("13 digits", query({**STORY, "exp": f"{NOON}000"}), "bad-bounds"),
        refuse("d is not signed", f"{query(without('d'))}&d=news.pageviews", "no-data"),
        refuse("k is not signed", f"{query(without('k'))}&k=story-1", "no-data"),
        refuse("k is empty", query({**STORY, "k": ""}), "no-data"),
        refuse("cut off within the signature", plain[:40], "truncated"),
        refuse("cut off within the list", plain[:16], "truncated"),
    ]  # fmt: skip


if __name__ == "__main__":
    json.dump([*accepted(), *refused()], sys.stdout, ensure_ascii=False, indent=1)
    sys.stdout.write("\n")
