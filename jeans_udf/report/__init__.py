"""One HTML page that shows what a run found: photos with masks, cut-outs, attributes, rejects.

    read (Spark, small lists) ──► cards (rows to plain values, pictures) ──► page (HTML)

`read` and what it calls (`counts`, `samples`, `findings`, `quality`) know Spark, the others do not;
import from the modules, so that a page is made without it.
"""
