"""Pure: every rule of an object, each violation with its field path and the next step; one examination for all."""
