"""Connections: how they are opened, what bounds them, and how their errors become ours."""

from __future__ import annotations

import os
import re
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import psycopg
import sqlalchemy as sa
from sqlalchemy import exc as sa_exc
from sqlalchemy.engine import URL, make_url

from certjobs.config import LOOPBACK_HOSTS
from certjobs.errors import ConfigurationError, CredentialsRejected, StatementFailed, Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

STRONG_TLS = frozenset({"require", "verify-ca", "verify-full"})
WEAK_TLS = frozenset({"disable", "allow", "prefer"})
NO_SUCH_DATABASE = "3D000"
BAD_PASSWORD = frozenset({"28000", "28P01"})
CONNECTION_CLASSES = ("08", "57P")  # connection exceptions; the server is shutting down or ended the session
_HOST = re.compile(r"[\w.,-]*|[0-9a-fA-F:.]+(?:%\w+)?")  # anything else is part of a password
_REJECTED = r'password authentication failed|role ".*" does not exist|no password supplied'
PERMISSION_DENIED = "42501"
BUSY = frozenset({"55P03", "40P01", "40001", "57014"})  # lock not available, deadlock, serialisation, cancelled
NOT_OUR_SCHEMA = frozenset({"42P01", "42703", "42883", "3F000"})  # undefined table, column, function, schema


def database_url(raw: str) -> URL:
    """Turn an operator's address into SQLAlchemy's, insisting on TLS unless the server is on this machine.

    Raises ConfigurationError when the address asks for a connection that could be read on the way.
    """
    url = None
    with suppress(sa_exc.ArgumentError, ValueError):
        url = make_url(raw).set(drivername="postgresql+psycopg")
    if url is None or not _HOST.fullmatch(url.host or ""):
        msg = "The database address cannot be read."
        raise ConfigurationError(
            msg,
            hint="It must look like postgresql://user:password@host:5432/database; write / # @ : in a password as"
            " %2F %23 %40 %3A.",
        )
    _check_parameters(url)
    mode = url.query.get("sslmode")
    if mode in STRONG_TLS or is_local(url):
        return url
    if mode is not None:
        msg = f"The database address asks for sslmode={mode}, and its host is not this machine."
        raise ConfigurationError(msg, hint="Use sslmode=verify-full (or verify-ca, require).")
    return url.update_query_dict({"sslmode": "require"})


def _check_parameters(url: URL) -> None:
    """Raise ConfigurationError for a parameter that libpq would refuse in words that quote it.

    What stands after the ? of a password that is not written as it must be would be such a parameter.
    """
    known = {option.keyword.decode() for option in psycopg.pq.Conninfo.get_defaults()}
    if not known.issuperset(url.query):
        msg = "The database address has a parameter that PostgreSQL does not know."
        raise ConfigurationError(msg, hint="Correct what stands after the ? in CERTJOBS_DATABASE_URL.")
    if url.query.get("sslmode", "require") not in STRONG_TLS | WEAK_TLS:
        msg = "The database address asks for an sslmode that PostgreSQL does not know."
        raise ConfigurationError(msg, hint="Use sslmode=verify-full (or verify-ca, require).")


def is_local(url: URL) -> bool:
    """Tell whether every place that libpq may connect to is this machine.

    It takes lists of hosts and of addresses, and from the environment what the address does not say; a service's file
    could say anything.
    """
    if url.query.get("service") or os.environ.get("PGSERVICE"):
        return False
    given = [
        url.query.get("host") or url.host or os.environ.get("PGHOST", ""),
        url.query.get("hostaddr") or os.environ.get("PGHOSTADDR", ""),
    ]
    lists = [one for each in given for one in ([each] if isinstance(each, str) else each)]
    names = [name for each in lists for name in each.split(",")]
    return all(not name or name in LOOPBACK_HOSTS or name.startswith(("/", "@")) for name in names)


def create_engine(
    url: URL, *, application_name: str, statement_timeout: float, lock_timeout: float, sessions: int = 1
) -> sa.Engine:
    """Return an engine whose every session is bounded, opened when first needed, at most so many; times in seconds.

    TCP keepalives notice a lost peer within a minute, and the server stops working for a client that is gone.
    ``hide_parameters`` keeps names and addresses out of error messages.
    """
    options = {
        "statement_timeout": f"{int(statement_timeout * 1000)}",
        "lock_timeout": f"{int(lock_timeout * 1000)}",
        "idle_in_transaction_session_timeout": f"{int(statement_timeout * 1000)}",
        "client_connection_check_interval": "5000",
        "TimeZone": "UTC",
        "DateStyle": "ISO",
        "search_path": "public",
        "jit": "off",  # statements of a night are short, and planned for more rows than they find
    }
    engine = sa.create_engine(
        url,
        hide_parameters=True,
        use_native_hstore=False,  # a look-up at every connect, for a type that nothing here has
        pool_size=sessions,
        max_overflow=2,
        pool_use_lifo=True,
        connect_args={
            "application_name": application_name,
            "connect_timeout": 10,
            "keepalives": 1,
            "keepalives_idle": 30,
            "keepalives_interval": 10,
            "keepalives_count": 3,
            "prepare_threshold": None,
        },
    )

    @sa.event.listens_for(engine, "connect")
    def _bound(dbapi_connection: Any, _record: Any) -> None:
        # Set by statement, not by start-up option: a pooler refuses options it does not know.
        settings = ", ".join(f"set_config('{name}', '{value}', false)" for name, value in options.items())
        dbapi_connection.execute(f"SELECT {settings}")
        dbapi_connection.commit()

    return engine


@contextmanager
def translated_errors() -> Iterator[None]:
    """Turn the driver's errors into ours: unreachable, credentials, configuration, or one statement that failed."""
    try:
        yield
    except sa_exc.DBAPIError as exc:
        raise _translate(exc.orig, ended=exc.connection_invalidated) from exc
    except psycopg.Error as exc:  # COPY goes past SQLAlchemy
        raise _translate(exc, ended=False) from exc
    except sa_exc.TimeoutError as exc:
        msg = "No database connection became free in time."
        raise Unavailable(msg, hint="Run the command again.") from exc


def _translate(original: BaseException | None, *, ended: bool) -> Exception:  # noqa: PLR0911 - a table, a line a case
    state = getattr(original, "sqlstate", None) or ""
    if state in BAD_PASSWORD or (not state and re.search(_REJECTED, str(original))):
        msg = "The database rejected the user or password of CERTJOBS_DATABASE_URL."
        return CredentialsRejected(msg, hint="Correct or rotate the database credentials.")
    if isinstance(original, psycopg.ProgrammingError) and not state:
        msg = "The database address has a parameter that PostgreSQL does not know."
        return ConfigurationError(msg, hint="Correct what stands after the ? in CERTJOBS_DATABASE_URL.")
    if state == NO_SUCH_DATABASE or ("database" in str(original) and "does not exist" in str(original) and not state):
        msg = "The database that CERTJOBS_DATABASE_URL names does not exist on its server."
        return ConfigurationError(msg, hint="Create it, then run `certjobs db upgrade`.")
    if ended or state.startswith(CONNECTION_CLASSES) or _never_connected(original, state):
        msg = "The database cannot be reached, or it ended the session."
        return Unavailable(
            msg, hint="Check that the server of CERTJOBS_DATABASE_URL is up, then run the command again."
        )
    if state == PERMISSION_DENIED:
        msg = "The database user lacks a privilege that this command needs."
        return ConfigurationError(
            msg,
            hint="Jobs need the role certjobs_job, administration certjobs_admin, looking certjobs_read, migrations"
            " the tables' owner; with certjobs_coordinator there are the lists of mentors and certifications.",
        )
    if state in NOT_OUR_SCHEMA:
        msg = "The database lacks a table, column or function that this command needs."
        return ConfigurationError(msg, hint="Run `certjobs db check`.")
    return StatementFailed(f"{type(original).__name__} (SQLSTATE {state or 'unknown'})", busy=state in BUSY)


def _never_connected(original: BaseException | None, state: str) -> bool:
    return not state and isinstance(original, (psycopg.OperationalError, psycopg.InterfaceError))
