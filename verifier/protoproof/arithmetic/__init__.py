"""Float64 intervals with outward rounding."""
