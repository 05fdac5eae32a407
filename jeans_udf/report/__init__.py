"""One HTML page that shows what a run found: photos with masks, cut-outs, attributes, rejects.

    read (Spark, small lists) ──► cards (rows to plain values, pictures) ──► page (HTML)

Only `read` knows Spark; import from the modules, so that a page is made without it.
"""
