"""Numbers about a loss or a run: functions of arrays and of the loss protocol, never of an engine."""
