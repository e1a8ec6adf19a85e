"""Names in Route 53: all addresses of a name put back in one batch that fails if anybody else was there."""

from rollbackd.adapters.aws.route53.calls import ROUTE53
from rollbackd.adapters.aws.route53.target import Route53

__all__ = ["ROUTE53", "Route53"]
