"""What HTTP is, as far as both images need it: no I/O and no word of the domain."""
