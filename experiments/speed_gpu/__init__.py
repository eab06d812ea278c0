"""Speed on a GPU: ours against cuDNN, a CUDA graph and FlashRNN, paired in one run; ceilings, and how cost grows."""
