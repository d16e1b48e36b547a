"""Every command, defined once for both shells.

`index` lists them all by name; the modules beside it hold their arguments and what they do, one file per noun.
Nothing here imports an HTTP library, so that help stays quick.
"""
