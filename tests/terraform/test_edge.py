"""The edge: what answers, with which headers, whose log is complete, and who may come near it."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.terraform.conftest import MakePlan
from tests.terraform.plans import Plan
from tfcheck.terraform import ROOT, Terraform, TerraformError

EDGE: dict[str, Any] = {
    "project": "acme-pixels",
    "region": "europe-west1",
    "domains": ["px.example.com", "px.example.org"],
    "log_bucket": "acme-logs",
}
HEADERS = (ROOT / "nginx" / "headers.conf").read_text()
CACHE_CONTROL = "no-store, no-cache, must-revalidate, private, max-age=0"


@pytest.fixture
def bucket(plan_of: MakePlan) -> Plan:
    return plan_of("modules/edge", **EDGE)


@pytest.fixture
def nginx(plan_of: MakePlan) -> Plan:
    return plan_of("modules/edge", **EDGE, kind="nginx")


def test_the_gif_answers_under_every_name_as_nginx_would(bucket: Plan) -> None:
    objects = bucket.all("google_storage_bucket_object").values()
    assert {each["name"] for each in objects} == {"pixel.gif", "i.gif", "r.gif", "track"}
    for each in objects:
        assert (ROOT / "terraform/modules/edge" / each["source"]).read_bytes()[:6] == b"GIF89a"
        assert each["content_type"] == "image/gif"
        assert each["content_disposition"] == "inline"
        assert each["cache_control"] == CACHE_CONTROL
    assert f'Cache-Control "{CACHE_CONTROL}" always;' in HEADERS


def test_every_header_of_nginx_is_given_by_the_backend_bucket(bucket: Plan) -> None:
    given = re.findall(r'^add_header (\S+) "?([^"$]+?)"? always;', HEADERS, re.M)
    wanted = {f"{name}: {value}" for name, value in given if name != "Cache-Control"}
    assert len(wanted) == 4
    assert wanted <= set(bucket.one("google_compute_backend_bucket")["custom_response_headers"])


def test_nothing_is_cached_but_by_the_gifs_own_word(bucket: Plan) -> None:
    backend = bucket.one("google_compute_backend_bucket")
    assert backend["enable_cdn"] is True
    assert backend["cdn_policy"][0]["cache_mode"] == "USE_ORIGIN_HEADERS"


def test_everyone_may_see_the_gif_and_list_nothing(bucket: Plan) -> None:
    grant = bucket.one("google_storage_bucket_iam_member")
    assert grant["bucket"] == bucket.one("google_storage_bucket")["name"]
    assert (grant["member"], grant["role"]) == ("allUsers", "roles/storage.legacyObjectReader")


@pytest.mark.parametrize("kind", ["bucket", "nginx"])
def test_https_is_modern_and_http_is_sent_there(plan_of: MakePlan, kind: str) -> None:
    plan = plan_of("modules/edge", **EDGE, kind=kind)
    policy = plan.one("google_compute_ssl_policy")
    assert (policy["profile"], policy["min_tls_version"]) == ("MODERN", "TLS_1_2")
    rules = plan.all("google_compute_global_forwarding_rule").values()
    assert {each["port_range"] for each in rules} == {"80", "443"}
    (redirect,) = plan.all("google_compute_url_map")["google_compute_url_map.redirect[0]"]["default_url_redirect"]  # fmt: skip
    assert redirect["https_redirect"] is True
    assert redirect["strip_query"] is False, "a view without its query is no view"
    assert plan.outputs["pixel_url"] == "https://px.example.com/pixel.gif"


def test_mail_sent_long_ago_may_be_answered_over_http(plan_of: MakePlan) -> None:
    plan = plan_of("modules/edge", **EDGE, redirect_http=False)
    assert set(plan.all("google_compute_url_map")) == {"google_compute_url_map.pixel"}


def test_a_host_name_more_leaves_the_other_certificates(plan_of: MakePlan, bucket: Plan) -> None:
    more = plan_of("modules/edge", **{**EDGE, "domains": [*EDGE["domains"], "px.example.net"]})
    before, after = (
        {
            each["managed"][0]["domains"][0]: each["name"]
            for each in plan.all("google_compute_managed_ssl_certificate").values()
        }
        for plan in (bucket, more)
    )
    assert list(before) == EDGE["domains"]
    assert before.items() < after.items()
    assert len(set(after.values())) == 3


def test_every_request_to_nginx_is_in_the_balancers_log(nginx: Plan) -> None:
    (log,) = nginx.one("google_compute_backend_service")["log_config"]
    assert (log["enable"], log["sample_rate"]) == (True, 1)


def test_only_the_balancer_reaches_the_machines(nginx: Plan) -> None:
    firewall = nginx.one("google_compute_firewall")
    assert firewall["source_ranges"] == ["130.211.0.0/22", "35.191.0.0/16"]
    assert firewall["allow"] == [{"protocol": "tcp", "ports": ["80", "8080"]}]
    template = nginx.one("google_compute_instance_template")
    (interface,) = template["network_interface"]
    assert interface["access_config"] == []
    assert interface["ipv6_access_config"] == []
    (shield,) = template["shielded_instance_config"]
    assert all(shield.values())
    assert template["metadata"]["block-project-ssh-keys"] == "true"
    assert "google_compute_router_nat" in nginx.types(), "packages come from outside"


def test_machines_create_logs_read_them_back_and_no_more(nginx: Plan) -> None:
    grants = nginx.all("google_storage_bucket_iam_member").values()
    assert {each["bucket"] for each in grants} == {"acme-logs"}
    assert {each["role"] for each in grants} == {
        "roles/storage.objectCreator",
        "roles/storage.legacyObjectReader",
    }
    assert not {each for each in nginx.types() if "iam" in each} - {"google_storage_bucket_iam_member"}  # fmt: skip
    (account,) = nginx.one("google_compute_instance_template")["service_account"]
    assert account["scopes"] == ["https://www.googleapis.com/auth/devstorage.read_write"]


def test_logs_outlive_their_machine(nginx: Plan) -> None:
    template = nginx.one("google_compute_instance_template")
    assert [each["device_name"] for each in template["disk"] if not each["boot"]] == ["logs"]
    group = nginx.one("google_compute_region_instance_group_manager")
    assert group["stateful_disk"][0]["device_name"] == "logs"
    (update,) = group["update_policy"]
    assert update["type"] == "OPPORTUNISTIC"
    assert (update["replacement_method"], update["max_surge_fixed"]) == ("RECREATE", 0)


@pytest.mark.parametrize("kind", ["bucket", "nginx"])
def test_a_kind_makes_nothing_of_the_other(plan_of: MakePlan, kind: str) -> None:
    types = plan_of("modules/edge", **EDGE, kind=kind).types()
    assert ("google_compute_backend_bucket" in types) == (kind == "bucket")
    assert ("google_storage_bucket" in types) == (kind == "bucket")
    assert ("google_compute_instance_template" in types) == (kind == "nginx")
    assert ("google_compute_network" in types) == (kind == "nginx")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            {
                "domains": ["https://px.example.com/"],
                "kind": "lambda",
                "machines": {"package": "pixelship'; reboot", "range": "10.0.0.1", "count": 0},
                "name": "Pixelship",
                "paths": ["i.gif"],
            },
            [
                "written like px.example.com",
                'answered by a "bucket" or by "nginx"',
                "pip requirement without spaces",
                "written like 10.77.0.0/24",
                "one machine at least",
                "3 to 19 small letters",
                "pixel.gif is one of them",
            ],
        ),
        (
            {"domains": [], "kind": "nginx", "log_bucket": None},
            ["Between 1 and 15 different host names", "say which (log_bucket)"],
        ),
    ],
    ids=["each", "together"],
)
def test_values_that_would_fail_later_are_refused_now(
    terraform: Terraform, given: dict[str, Any], said: list[str]
) -> None:
    with pytest.raises(TerraformError) as refused:
        terraform.plan(ROOT / "terraform/modules/edge", {**EDGE, **given})
    words = " ".join(str(refused.value).replace("│", "").split())
    assert [each for each in said if each not in words] == []
