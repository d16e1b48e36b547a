"""Import openstackclient before warnings become errors: what it and its libraries say on import is not ours to mend.

It also takes its name from the program that imports it.
"""

import warnings
from unittest import mock

with warnings.catch_warnings(), mock.patch("sys.argv", ["openstack"]):
    warnings.simplefilter("ignore")
    import osc_lib.shell  # noqa: F401
