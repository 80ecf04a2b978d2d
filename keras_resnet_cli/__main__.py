"""`python -m keras_resnet_cli` is `keras-resnet`."""

from keras_resnet_cli.program import main

main()
