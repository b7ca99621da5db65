"""Face detection, alignment, tracking, video and drawing."""
