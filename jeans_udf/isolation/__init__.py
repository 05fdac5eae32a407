"""The pass over the pixels in a process of its own, so that an image can harm only itself.

`supervisor` runs in Spark's Python worker and feeds a child process (`child`), which holds the
models. An image whose bytes crash native code, hang it or eat all memory kills the child: the
supervisor starts another one, finds the image among those that were on their way, and gives it a
row with a reason. Neither module knows Spark, and only the child loads torch.
"""
