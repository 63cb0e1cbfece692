"""Everything that runs the flows: `make up`, doctor, automations, systemd units, and the sample workbook."""
