"""Every adapter's declared calls: what the IAM documents are made of. A further adapter is a line here."""

from rollbackd.adapters.aws.alb.calls import ALB
from rollbackd.adapters.aws.appconfig.calls import APPCONFIG
from rollbackd.adapters.aws.calls import Declared
from rollbackd.adapters.aws.cloudwatch.calls import CLOUDWATCH
from rollbackd.adapters.aws.ecs.calls import ECS
from rollbackd.adapters.aws.rds.calls import RDS
from rollbackd.adapters.aws.route53.calls import ROUTE53

ALL: tuple[Declared, ...] = (ALB, APPCONFIG, CLOUDWATCH, ECS, RDS, ROUTE53)
