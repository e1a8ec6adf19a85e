"""What Unleash serves to applications: the path that proves that a switch has arrived. Only reads."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote

from rollbackd.adapters.base.errors import AdapterError, Transient
from rollbackd.adapters.base.json_api import Document, JsonApi


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The client API, with a token that stands for one environment."""

    api: JsonApi
    project: str

    def served(self, environment: str) -> Mapping[str, bool] | None:
        """Which flags are on for backend applications; None if the token is of another environment, so that it says nothing of this one."""
        found = self._asked()
        if _environment(found) != environment:
            return None
        return {str(each.get("name")): each.get("enabled") is True for each in found["features"] if isinstance(each, dict)}

    def fault(self, environment: str) -> str | None:
        """What keeps us from seeing it; None if nothing does."""
        try:
            seen = _environment(self._asked())
        except AdapterError as error:
            return f"what applications are served cannot be seen: {error}"
        if seen == environment:
            return None
        return (
            f"the client token in {self.api.token_file} is of environment '{seen}', so it cannot be seen what applications in '{environment}' "
            "are served; put a token of that environment into it"
        )

    def _asked(self) -> Document:
        found = self.api.get(f"/api/client/features?project={quote(self.project, safe='')}")
        if not isinstance(found, dict) or not isinstance(found.get("features"), list):
            raise Transient(f"{self.api.host} answered with no list of features; look whether a proxy answers")
        return found


def _environment(found: Document) -> str:
    query = found.get("query")
    return str(query.get("environment", "")) if isinstance(query, dict) else ""
