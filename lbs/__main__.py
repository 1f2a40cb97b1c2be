"""`python -m lbs`, and the command `lbs`."""

from lbs.cli import main

if __name__ == "__main__":
    main()
