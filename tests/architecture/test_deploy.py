"""What `deploy/` names exists: commands, options, settings, secrets, routes, metrics, files; and it keeps its word."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections import defaultdict
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import msgspec
import pytest

from lbs.app import STREAMED
from lbs.connections import Role
from lbs.daemon_metrics import PORTS_ABOVE, EngineMetrics, SchedulerMetrics, WorkerMetrics
from lbs.daemons import NAMES
from lbs.observe import Metrics
from lbs.settings import Settings
from tests.architecture.command_tree import COMMANDS, command_of, options_of
from tests.architecture.openapi_snapshot import document
from tests.architecture.tree import ROOT

if TYPE_CHECKING:
    from pathlib import Path

DEPLOY: Final = ROOT / "deploy"
UNITS: Final = sorted((DEPLOY / "systemd").glob("*.service"))
VARIABLES: Final = {f"LBS_{name.upper()}" for name in Settings.model_fields}
HARDENING: Final = {
    "NoNewPrivileges": ["yes"],
    "ProtectSystem": ["strict"],
    "ProtectHome": ["yes"],
    "PrivateTmp": ["yes"],
    "PrivateDevices": ["yes"],
    "CapabilityBoundingSet": [""],
    "UMask": ["0077"],
}
NOT_IN_METRICS: Final = {"lbs-api", "lbs-engine", "lbs-worker", "lbs-scheduler"}


def yaml(name: str) -> Any:
    return msgspec.yaml.decode((DEPLOY / name).read_bytes())


COMPOSE: Final = yaml("compose.yaml")
OURS: Final = {name: service for name, service in COMPOSE["services"].items() if service["image"].startswith("lbs:")}


def unit(path: Path) -> dict[str, list[str]]:
    """Every key with all its values; sections do not matter here."""
    found = defaultdict(list)
    for line in path.read_text(encoding="utf-8").splitlines():
        key, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            found[key].append(value)
    return dict(found)


def is_command(words: list[str]) -> bool:
    name = command_of(words)
    options = {word for word in words if word.startswith("--")}
    return name is not None and options <= set(options_of(name))


@cache
def paths() -> frozenset[str]:
    return frozenset(document()["paths"])


def test_one_of_each_process_is_deployed() -> None:
    assert {service["command"][0] for service in OURS.values()} == {*NAMES, "migrate"}
    assert {path.name for path in UNITS} == {
        "lbs-api.service", "lbs-engine@.service", "lbs-worker@.service", "lbs-scheduler.service", "lbs-migrate.service",
    }  # fmt: skip


@pytest.mark.parametrize("name", OURS)
def test_a_container_is_what_the_program_knows(name: str) -> None:
    service = OURS[name]
    assert is_command(service["command"])
    assert set(service["environment"]) <= VARIABLES
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    named = [secret if isinstance(secret, str) else secret["target"] for secret in service["secrets"]]
    assert {secret.upper() for secret in named} <= VARIABLES
    if name != "migrate":
        test = " ".join(service["healthcheck"]["test"])
        routes = re.findall(r"http://127\.0\.0\.1:8000(/\w+)", test)
        beats = re.findall(r"/processes/(\w+)\.beat", test)
        assert (routes, beats) == ((["/readyz"], []) if name == "api" else ([], [name]))
        assert set(routes) <= paths()


def test_containers_refer_to_what_is_there() -> None:
    for name, service in COMPOSE["services"].items():
        assert set(service.get("networks", [])) <= set(COMPOSE["networks"]), name
        assert set(service.get("depends_on", {})) <= set(COMPOSE["services"]), name
        sources = {secret if isinstance(secret, str) else secret["source"] for secret in service.get("secrets", [])}
        assert sources <= set(COMPOSE["secrets"]), name
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert source in COMPOSE["volumes"] or (DEPLOY / source).is_file(), volume
        assert name == "migrate" or "healthcheck" in service
    assert COMPOSE["networks"]["inside"]["internal"] is True


def test_redis_keeps_what_it_has_taken() -> None:
    command = COMPOSE["services"]["redis"]["command"]
    given = dict(zip(command[2::2], command[3::2], strict=True))
    assert given["--appendonly"] == "yes"
    assert given["--maxmemory-policy"] == "noeviction"
    assert int(given["--maxmemory"].removesuffix("gb")) * 1e9 > 1.25 * Settings.model_fields["log_max_bytes"].default


def test_the_secrets_that_are_made_are_those_that_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "secrets"
    for _ in range(2):
        subprocess.run([str(DEPLOY / "make-secrets"), str(folder)], check=True, capture_output=True)
        made = {path.name: path.read_text().strip() for path in folder.iterdir()}
    assert {f"./secrets/{name}" for name in made} == {secret["file"] for secret in COMPOSE["secrets"].values()}
    assert folder.stat().st_mode & 0o077 == 0
    assert len(set(made.values())) == len(made)
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LBS_SECRETS_DIR", str(folder))
    settings = Settings()
    for name in ("database_url", "redis_url", "secret_key"):
        assert getattr(settings, name).get_secret_value() == made[f"lbs_{name}"]
    assert made["lbs_app_password"] in made["lbs_database_url"]
    assert made["redis_conf"].removeprefix("requirepass ") in made["lbs_redis_url"]
    # a variable stands above a file
    monkeypatch.setenv("LBS_REDIS_URL", "redis://elsewhere/0")
    assert Settings().redis_url != settings.redis_url


def test_the_image_takes_locked_packages_and_runs_as_nobody_special() -> None:
    text = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
    build, run = re.split(r"^FROM .*$", text, flags=re.MULTILINE)[1:]
    assert build.count("--require-hashes") == build.count(" -r requirements") == 3
    assert "build-essential" not in run
    assert "pip install" not in run
    assert re.findall(r"^USER (\w+)$", run, re.MULTILINE) == ["lbs"]
    assert run.index("USER lbs") < run.index("ENTRYPOINT")
    copied = [word for line in re.findall(r"^COPY (?!--)(.*)$", build, re.MULTILINE) for word in line.split()[:-1]]
    ignored = (DEPLOY / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    assert {f"!{name}" for name in copied} == {line for line in ignored if line.startswith("!")}
    assert all((ROOT / name).exists() for name in copied)
    assert set(re.findall(r"\bLBS_\w+", run)) <= VARIABLES


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_a_unit_is_what_the_program_knows(path: Path) -> None:
    keys = unit(path)
    (command,) = keys["ExecStart"]
    program, *words = command.split()
    assert program.endswith("/bin/lbs")
    assert is_command(words)
    assert words[0] in path.name
    set_here = {value.partition("=")[0] for value in keys["Environment"]}
    credentials = {value.partition(":")[0] for value in keys["LoadCredential"]}
    assert set_here | credentials <= VARIABLES
    assert "LBS_SECRETS_DIR=%d" in keys["Environment"]
    assert not set_here & {"LBS_SECRET_KEY", "LBS_DATABASE_URL", "LBS_REDIS_URL"}
    assert keys["User"] == ["lbs"]
    assert {key: keys.get(key) for key in HARDENING} == HARDENING


def test_the_target_wants_units_that_exist() -> None:
    (wanted,) = unit(DEPLOY / "systemd" / "lbs.target")["Wants"]
    assert {re.sub(r"@\d+", "@", name) for name in wanted.split()} == {path.name for path in UNITS} - {
        "lbs-migrate.service"
    }
    assert set(unit(DEPLOY / "systemd" / "lbs.env")) <= VARIABLES


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not here")
def test_systemd_finds_no_fault_in_the_units() -> None:
    files = [*map(str, UNITS), str(DEPLOY / "systemd" / "lbs.target")]
    done = subprocess.run(["systemd-analyze", "verify", *files], capture_output=True, text=True, check=False)
    # the program is where it is installed, which is not here
    faults = [line for line in done.stderr.splitlines() if "is not executable" not in line]
    assert faults == []


def metric_names() -> set[str]:
    names = set()
    for metrics in (Metrics, EngineMetrics, WorkerMetrics, SchedulerMetrics):
        for metric in metrics().registry.collect():
            suffixes = {"counter": ["_total"], "histogram": ["_bucket", "_count", "_sum"]}.get(metric.type, [""])
            names |= {metric.name + suffix for suffix in suffixes}
    return names


def test_alarms_are_about_metrics_that_exist() -> None:
    rules = [rule for group in yaml("prometheus-rules.yaml")["groups"] for rule in group["rules"]]
    assert len({rule["alert"] for rule in rules}) == len(rules) > 10
    for rule in rules:
        expression = rule["expr"]
        assert set(re.findall(r"\blbs_\w+", expression)) <= metric_names(), rule["alert"]
        assert expression.count("(") == expression.count(")"), rule["alert"]
        assert {"severity"} == set(rule["labels"])
        assert rule["annotations"]["summary"]


def test_prometheus_asks_where_the_processes_show_their_metrics() -> None:
    base = int(COMPOSE["services"]["engine"]["environment"]["LBS_METRICS_PORT"])
    asked = {
        job["dns_sd_configs"][0]["names"][0]: job["dns_sd_configs"][0]["port"]
        for job in yaml("prometheus.yaml")["scrape_configs"]
    }
    assert asked == {"api": 8000, **{name: base + above for name, above in PORTS_ABOVE.items()}}
    assert {job["job_name"] for job in yaml("prometheus.yaml")["scrape_configs"]} == NOT_IN_METRICS


def test_proxies_pass_streams_and_keep_the_inside_inside() -> None:
    nginx = (DEPLOY / "nginx.conf").read_text(encoding="utf-8")
    (stream,) = re.findall(r"location ~ (\S+) \{", nginx)
    streams = [path for path in paths() if path.endswith("/stream")]
    assert streams
    assert all(re.search(stream, path) for path in streams)
    assert set(re.findall(r"location = (\S+) \{ return 404", nginx)) == {"/metrics", "/readyz"} <= paths()
    others, imports = re.findall(r"client_max_body_size (\d+)m;", nginx)
    for megabytes, setting in ((others, "max_body_bytes"), (imports, "max_import_bytes")):
        assert int(megabytes) * 1_000_000 > Settings.model_fields[setting].default
    caddy = (DEPLOY / "Caddyfile").read_text(encoding="utf-8")
    assert "@inside path /metrics /readyz" in caddy
    assert re.findall(r"max_size (\d+)MB", caddy) == [imports, others]
    assert {path for path in paths() if path.startswith("/v1/imports/")} >= STREAMED
    assert all("Strict-Transport-Security" in text for text in (nginx, caddy))


def test_the_roles_are_those_that_connections_take() -> None:
    named = set(re.findall(r"\['(lbs_\w+)', '", (DEPLOY / "roles.sql").read_text(encoding="utf-8")))
    assert named == {str(role) for role in Role if role is not Role.ADMIN} | {"lbs_owner", "lbs_app"}
    assert "migrate" in COMMANDS
