"""Training of a run, independent of the framework: recipe to targets, batches, checkpoints, calibration."""
