"""Make the database schemas that ``feature_store.yaml`` names, which Feast expects to find.

Run with Feast's own environment before the server starts, as often as wanted; ``FEAST_FS_YAML_FILE_PATH`` says
where the file is.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import psycopg
import yaml
from psycopg import sql

REGISTRY_SCHEMA = "registry"


def main() -> int:
    """Make the schemas and return the exit code."""
    config = yaml.safe_load(Path(os.environ["FEAST_FS_YAML_FILE_PATH"]).read_text(encoding="utf-8"))
    stores = (config["offline_store"], config["online_store"])
    access = {key: stores[0][key] for key in ("host", "port", "user", "password")}
    with psycopg.connect(dbname=stores[0]["database"], **access) as connection:
        for schema in (REGISTRY_SCHEMA, *(store["db_schema"] for store in stores)):
            connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(schema)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
