"""The laws every recurrent network must keep, the referee that bounds what rounding may do, and the planted faults."""
