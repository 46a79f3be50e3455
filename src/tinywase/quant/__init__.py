"""Quantizers that attach to a network from outside, by the names of its tensors and activation points [Huang22].

A quantizer knows tensors, never the network: `attach` marries the two, `collect` hands codes to the packed file.
"""
