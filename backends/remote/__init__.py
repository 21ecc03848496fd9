"""The parts of the remote engine: where a server may be, how it is asked, what its replies mean."""
