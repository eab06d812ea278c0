"""Ten more tasks at one setting each: what each cell reaches, when it solves, and what others published."""
