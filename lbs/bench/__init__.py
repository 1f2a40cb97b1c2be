"""The published benchmarks: commands, not tests. Each prints ratios of one run and says what it ran on."""
