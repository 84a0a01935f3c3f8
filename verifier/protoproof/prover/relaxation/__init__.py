"""Lower bounds of margins: weak duality, tangents and chords, case splits."""
