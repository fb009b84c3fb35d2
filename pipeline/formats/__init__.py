"""The log formats: one module each, listed here."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.formats.akamai import Akamai
from pipeline.formats.alb import Alb
from pipeline.formats.azure import AzureFrontDoor
from pipeline.formats.caddy import Caddy
from pipeline.formats.cloudflare import Cloudflare
from pipeline.formats.cloudfront import CloudFront
from pipeline.formats.cloudfront_json import CloudFrontJson
from pipeline.formats.combined import Combined
from pipeline.formats.contract import Format, Parsed, Quirks
from pipeline.formats.fastly import Fastly
from pipeline.formats.gcs_usage import GcsUsage
from pipeline.formats.google_lb import GoogleLb
from pipeline.formats.nginx_json import NginxJson
from pipeline.formats.nginx_tsv import NginxTsv
from pipeline.formats.s3 import S3
from pipeline.formats.traefik import Traefik

FORMATS: tuple[Format, ...] = (
    NginxTsv(),
    CloudFront(),
    CloudFrontJson(),
    Cloudflare(),
    GcsUsage(),
    Alb(),
    S3(),
    GoogleLb(),
    AzureFrontDoor(),
    Akamai(),
    Fastly(),
    Caddy(),
    Traefik(),
    NginxJson(),
    Combined(),
)
"""Every format; on a tie in `detect` the earlier wins."""

_SNIFF_LINES = 200

__all__ = ["FORMATS", "Format", "Parsed", "Quirks", "detect", "named"]


def named(name: str, header: str | None = None) -> Format | None:
    """The format of a name, or None; bound to the header, where one is given."""
    found = next((format_ for format_ in FORMATS if format_.name == name), None)
    return found and found.bound([header.encode()] if header else [])


def detect(lines: Sequence[bytes]) -> Format | None:
    """The format that recognises most of a log's first lines (without newlines), bound to them.

    None if none knows any.
    """
    for some in (lines[:_SNIFF_LINES], lines[_SNIFF_LINES:]):
        known = [sum(map(format_.recognises, some)) for format_ in FORMATS]
        if best := max(known):
            return FORMATS[known.index(best)].bound(lines)
    return None
