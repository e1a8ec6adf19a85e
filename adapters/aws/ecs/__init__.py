"""Services of ECS: seen through their service deployments, put back by the way that fits their state, verified by their own tasks."""

from rollbackd.adapters.aws.ecs.calls import ECS
from rollbackd.adapters.aws.ecs.target import Ecs

__all__ = ["ECS", "Ecs"]
