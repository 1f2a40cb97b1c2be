"""The commands. A module has `register(app)`; what needs the rest of the program is imported when a command runs."""
