"""The service database: tables, migrations and the `Store` that implements `trove.domain.store`."""
