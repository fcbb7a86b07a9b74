"""simlab predicts and simulates speculative decoding on Markov chains."""
