"""The tables of OpenML that ORCA was run on."""
