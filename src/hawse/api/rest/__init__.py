"""The native REST interface, `/v1`."""
