"""A service that shows what it runs on: each line of its answer comes from compiled code or from the system."""

import ssl
import sys
import zoneinfo

import httptools
import markupsafe
import psycopg2.extensions
from fastapi import FastAPI

app = FastAPI()


@app.get("/")
def what_it_runs_on() -> dict[str, str]:
    """What the interpreter, its libraries and the packages say of themselves."""
    return {
        "python": sys.version.split()[0],
        "openssl": ssl.OPENSSL_VERSION,
        "authorities": str(len(ssl.create_default_context().get_ca_certs()) > 100),
        "libpq": str(psycopg2.extensions.libpq_version()),
        "httptools": httptools.__version__,
        "markupsafe": markupsafe._escape_inner.__module__,
        "zone": str(zoneinfo.ZoneInfo("Europe/Zurich")),
    }
