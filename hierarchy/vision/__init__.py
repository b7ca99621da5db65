"""From photographs to faces as the nets take them, and from answers back to pictures."""
