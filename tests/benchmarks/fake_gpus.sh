#!/bin/sh
# Two GPUs that are not there, for tests of the scheduling alone.
echo '{"name": "gpu", "addresses": ["0", "1"]}'
