"""Speed: ours against torch.nn and other peers, paired in one run; ceilings, memory, and how cost grows."""
