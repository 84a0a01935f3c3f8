"""What people read. No verdict is computed here."""
