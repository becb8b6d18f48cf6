"""What is said: sans-I/O codecs, bytes <-> messages. No await, no socket, no clock."""
