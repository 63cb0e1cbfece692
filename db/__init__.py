"""The database: settings, tables and statements. No other package contains SQL."""
