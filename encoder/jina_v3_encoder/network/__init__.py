"""The network and its kernels, over packed texts."""
