"""Whether what was compiled computes what was written: the IR before and after the passes, and the program under jax.

The oracle is the reference interpreter on the unoptimised IR. What runs the compiled program is given from outside
(:class:`~trxc.verification.verify.Compiled`), so that nothing here needs jax.
"""
