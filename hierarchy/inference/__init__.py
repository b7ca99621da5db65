"""From images, videos and data files to predictions of every face."""
