"""How a message looks on the wire. Pure: no clock, no socket."""
