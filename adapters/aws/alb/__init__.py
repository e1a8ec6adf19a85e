"""Weights between the target groups of a load balancer's rule: moved away from a bad release, and back exactly."""

from rollbackd.adapters.aws.alb.calls import ALB
from rollbackd.adapters.aws.alb.target import Alb

__all__ = ["ALB", "Alb"]
