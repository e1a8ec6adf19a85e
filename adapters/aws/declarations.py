"""Every adapter's declared calls: what the IAM documents are made of. A further adapter is a line here."""

from rollbackd.adapters.aws.calls import Declared

ALL: tuple[Declared, ...] = ()
