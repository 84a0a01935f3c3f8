"""Reports: certificates and check results made readable. No verdict is computed here."""
