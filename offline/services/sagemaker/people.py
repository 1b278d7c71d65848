"""The private workforce and its work teams: one workforce per account and region, as in AWS.

https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateWorkforce.html
"""

from typing import Any

from moto.sagemaker.exceptions import ResourceInUseException, ResourceNotFound, ValidationError

from offline.runners import now

MAX_TEAMS = 25


class ResourceLimitExceeded(ValidationError):
    code = "ResourceLimitExceeded"


class People:
    """Who labels in one region."""

    def __init__(self, region: str, account_id: str) -> None:
        self._region = region
        self._arn = f"arn:aws:sagemaker:{region}:{account_id}"
        self.workforce: dict[str, Any] | None = None
        self.teams: dict[str, dict[str, Any]] = {}
        self.tags: dict[str, list[dict[str, str]]] = {}

    def create_workforce(self, request: dict[str, Any]) -> dict[str, Any]:
        if self.workforce is not None:
            name = self.workforce["WorkforceName"]
            raise ResourceLimitExceeded(f"One workforce is allowed per account and region, and {name!r} exists")
        name = request["WorkforceName"]
        self.workforce = {
            **{field: value for field, value in request.items() if field != "Tags"},
            "WorkforceArn": f"{self._arn}:workforce/{name}",
            "SubDomain": f"{name.lower()[:10]}.labeling.{self._region}.sagemaker.aws",
            "CreateDate": now(),
            "LastUpdatedDate": now(),
            "Status": "Active",
        }
        self.tags[self.workforce["WorkforceArn"]] = list(request.get("Tags", []))
        return {"WorkforceArn": self.workforce["WorkforceArn"]}

    def describe_workforce(self, request: dict[str, Any]) -> dict[str, Any]:
        return {"Workforce": self._workforce(request["WorkforceName"])}

    def update_workforce(self, request: dict[str, Any]) -> dict[str, Any]:
        workforce = self._workforce(request["WorkforceName"])
        workforce |= {**request, "LastUpdatedDate": now()}
        return {"Workforce": workforce}

    def list_workforces(self, _: dict[str, Any]) -> dict[str, Any]:
        return {"Workforces": [self.workforce] if self.workforce else []}

    def delete_workforce(self, request: dict[str, Any]) -> dict[str, Any]:
        self._workforce(request["WorkforceName"])
        if self.teams:
            raise ResourceInUseException(
                f"The workforce has work teams ({', '.join(sorted(self.teams))}): delete them first"
            )
        self.workforce = None
        return {}

    def create_workteam(self, request: dict[str, Any]) -> dict[str, Any]:
        name = request["WorkteamName"]
        if name in self.teams:
            raise ResourceInUseException(f"A work team named {name!r} exists in this account and region")
        if len(self.teams) >= MAX_TEAMS:
            raise ResourceLimitExceeded(f"{MAX_TEAMS} work teams are allowed per account and region")
        workforce = self._workforce(request.get("WorkforceName") or (self.workforce or {}).get("WorkforceName", ""))
        self.teams[name] = {
            **{field: value for field, value in request.items() if field not in ("Tags", "WorkforceName")},
            "WorkteamArn": f"{self._arn}:workteam/private-crowd/{name}",
            "WorkforceArn": workforce["WorkforceArn"],
            "SubDomain": workforce["SubDomain"],
            "CreateDate": now(),
            "LastUpdatedDate": now(),
        }
        self.tags[self.teams[name]["WorkteamArn"]] = list(request.get("Tags", []))
        return {"WorkteamArn": self.teams[name]["WorkteamArn"]}

    def describe_workteam(self, request: dict[str, Any]) -> dict[str, Any]:
        return {"Workteam": self._team(request["WorkteamName"])}

    def update_workteam(self, request: dict[str, Any]) -> dict[str, Any]:
        team = self._team(request["WorkteamName"])
        team |= {**request, "LastUpdatedDate": now()}
        return {"Workteam": team}

    def list_workteams(self, request: dict[str, Any]) -> dict[str, Any]:
        teams = [team for name, team in sorted(self.teams.items()) if request.get("NameContains", "") in name]
        return {"Workteams": teams}

    def delete_workteam(self, request: dict[str, Any]) -> dict[str, Any]:
        self._team(request["WorkteamName"])
        del self.teams[request["WorkteamName"]]
        return {"Success": True}

    def has_team(self, arn: str) -> bool:
        return any(team["WorkteamArn"] == arn for team in self.teams.values())

    def _workforce(self, name: str) -> dict[str, Any]:
        if self.workforce is None or self.workforce["WorkforceName"] != name:
            raise ResourceNotFound(f"There is no workforce named {name!r} in this account and region")
        return self.workforce

    def _team(self, name: str) -> dict[str, Any]:
        if name not in self.teams:
            raise ResourceNotFound(f"There is no work team named {name!r} in this account and region")
        return self.teams[name]
