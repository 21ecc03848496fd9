"""The figures of a reader study, each with its n, its interval and the name of the method."""
