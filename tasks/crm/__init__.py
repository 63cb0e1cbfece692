"""The steps of import_crm_data."""
