"""Every adapter's declared calls: what the IAM documents are made of. A further adapter is a line here."""

from rollbackd.adapters.aws.appconfig.calls import APPCONFIG
from rollbackd.adapters.aws.calls import Declared
from rollbackd.adapters.aws.cloudwatch.calls import CLOUDWATCH
from rollbackd.adapters.aws.ecs.calls import ECS

ALL: tuple[Declared, ...] = (APPCONFIG, CLOUDWATCH, ECS)
