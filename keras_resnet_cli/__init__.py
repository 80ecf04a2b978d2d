"""The command line `keras-resnet`, a package beside `keras_resnet`: to import that one starts a backend, which takes seconds.

`list` and `info` read its tables of data as files; `predict` and `convert` import it when their arguments are found good.
"""
