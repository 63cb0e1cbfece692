"""The database: settings, tables, statements. The only room that knows SQL."""
