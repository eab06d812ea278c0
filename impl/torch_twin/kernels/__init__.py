"""The time loops as Triton kernels: many small models at once, each program with its weights on the chip."""
