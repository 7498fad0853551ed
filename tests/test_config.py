"""Settings: where they come from, what is refused, and that no secret is repeated."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from certjobs import config
from certjobs.db.engine import database_url
from certjobs.errors import ConfigurationError
from tests.canaries import canary

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Certjobs

SECRET = canary("database", "s3cr3t")


def url_of(settings: config.Settings) -> str | None:
    """Return the database's address."""
    return settings.database_url.get_secret_value() if settings.database_url else None


def test_the_environment_comes_before_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Environment over the _FILE variable's file over the secrets directory over the default."""
    (tmp_path / "guard_count").write_text("7\n")
    monkeypatch.setenv("CERTJOBS_SECRETS_DIR", str(tmp_path))
    assert config.load().guard_count == 7
    (tmp_path / "elsewhere").write_text("8\n")
    monkeypatch.setenv("CERTJOBS_GUARD_COUNT_FILE", str(tmp_path / "elsewhere"))
    assert config.load().guard_count == 8
    monkeypatch.delenv("CERTJOBS_GUARD_COUNT_FILE")
    monkeypatch.setenv("CERTJOBS_GUARD_COUNT", "9")
    assert config.load().guard_count == 9


def test_a_mounted_secret_is_read_through_the_links_of_a_projected_volume(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A secret file behind the links that Kubernetes makes is found, and read anew at each start."""
    for version in ("..1", "..2"):
        (tmp_path / version).mkdir()
        (tmp_path / version / "database_url").write_text(f"postgresql://localhost/{version[2:]}\n")
    (tmp_path / "..data").symlink_to("..1")
    (tmp_path / "database_url").symlink_to("..data/database_url")
    monkeypatch.setenv("CERTJOBS_SECRETS_DIR", str(tmp_path))
    assert url_of(config.load()) == "postgresql://localhost/1"
    (tmp_path / "..data").unlink()
    (tmp_path / "..data").symlink_to("..2")
    assert url_of(config.load()) == "postgresql://localhost/2"


def test_a_setting_given_twice_is_refused(certjobs_unset: Certjobs, tmp_path: Path) -> None:
    """A variable and its _FILE variable at once is an error that names both, exit 78."""
    (tmp_path / "file").write_text("1")
    both = {"CERTJOBS_GUARD_COUNT": "1", "CERTJOBS_GUARD_COUNT_FILE": str(tmp_path / "file")}
    result = certjobs_unset("orgs", "list", env=both)
    assert result.exit_code == 78
    assert "CERTJOBS_GUARD_COUNT and CERTJOBS_GUARD_COUNT_FILE" in result.stderr


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("CERTJOBS_GUARD_SHARE", "1.5"),
        ("CERTJOBS_GUARD_COUNT", "many"),
        ("CERTJOBS_BATCH_SIZE", "0"),
        ("CERTJOBS_NOTIFY_CHANNEL", "pigeon"),
        ("CERTJOBS_LOG_LEVEL", "loud"),
        ("CERTJOBS_DATABASE_URL", f"mysql://user:{SECRET}@localhost/x"),
        ("CERTJOBS_DATABASE_URL", f"user:{SECRET}@localhost"),
        ("CERTJOBS_ALERT_WEBHOOK_URL", f"http://hooks.example.org/{SECRET}"),
        ("CERTJOBS_ALERT_WEBHOOK_URL", f"ftp://localhost/{SECRET}"),
        ("CERTJOBS_PING_URL", f"http://monitor.example.org/{SECRET}/{{job}}"),
        ("CERTJOBS_PING_URL", f"https://monitor.example.org/{SECRET}"),
        ("CERTJOBS_PING_URL", f"https://{{job}}.example.org/{SECRET}?{{job}}"),
        ("CERTJOBS_SECRETS_DIR", "/nowhere/at/all"),
        ("CERTJOBS_DATABASE_URL_FILE", "/nowhere/at/all"),
    ],
)
def test_a_wrong_setting_is_named_and_its_value_is_not(certjobs_unset: Certjobs, variable: str, value: str) -> None:
    """A wrong setting stops the command with 78, names the variable, and repeats no value."""
    result = certjobs_unset("expiry-check", env={variable: value})
    assert result.exit_code == 78
    assert variable in result.stdout + result.stderr
    assert SECRET not in result.stdout + result.stderr


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://user@db.example.org/x?sslmode=disable",
        "postgresql://user@db.example.org/x?sslmode=prefer",
        "postgresql:///x?host=/run/postgresql,db.example.org&sslmode=allow",
        "postgresql:///x?host=localhost&host=db.example.org&sslmode=prefer",
    ],
)
def test_a_connection_that_could_be_read_on_the_way_is_refused(address: str) -> None:
    """Off this machine, an address that allows a connection without TLS is refused."""
    with pytest.raises(ConfigurationError, match="sslmode"):
        database_url(address)


@pytest.mark.parametrize(
    ("address", "mode"),
    [
        ("postgresql://user@db.example.org/x", "require"),
        ("postgres://user@db.example.org/x?sslmode=verify-full", "verify-full"),
        ("postgresql+psycopg://user@10.1.2.3/x?sslmode=verify-ca", "verify-ca"),
        ("postgresql://user@localhost/x", None),
        ("postgresql://user@[::1]/x?sslmode=disable", "disable"),
        ("postgresql:///x?host=/run/postgresql", None),
        ("postgresql:///x?host=/run/postgresql,localhost", None),
    ],
)
def test_tls_is_required_off_this_machine(address: str, mode: str | None) -> None:
    """An address without an opinion gets TLS required, unless every host of it is this machine."""
    url = database_url(address)
    assert url.drivername == "postgresql+psycopg"
    assert url.query.get("sslmode") == mode


def test_a_password_is_never_printed(certjobs_unset: Certjobs) -> None:
    """A database that cannot be reached is reported with exit 69 and without its address, even with --debug."""
    address = f"postgresql://certjobs:{SECRET}@127.0.0.1:1/mentors"
    for extra in ([], ["--debug"], ["--json"]):
        for command in (["expiry-check"], ["orgs", "list"], ["db", "upgrade"]):
            result = certjobs_unset(*command, *extra, url=address)
            assert result.exit_code == 69, command
            assert SECRET not in result.stdout + result.stderr
