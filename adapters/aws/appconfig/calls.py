"""The calls that are made to AppConfig. Deleting and updating are not among them, and are denied by name."""

from rollbackd.adapters.aws.calls import Call, declare

_APPLICATION = "arn:aws:appconfig:REGION:ACCOUNT:application/APPLICATION"
_ENVIRONMENT = f"{_APPLICATION}/environment/ENVIRONMENT"
_DEPLOYMENTS = f"{_ENVIRONMENT}/deployment/*"
_PROFILE = f"{_APPLICATION}/configurationprofile/PROFILE"
_STRATEGY = "arn:aws:appconfig:REGION:ACCOUNT:deploymentstrategy/STRATEGY"
_SERVED = (f"{_ENVIRONMENT}/configuration/PROFILE",)

LIST_APPLICATIONS = Call("appconfig", "ListApplications")
LIST_ENVIRONMENTS = Call("appconfig", "ListEnvironments", (_APPLICATION,))
LIST_PROFILES = Call("appconfig", "ListConfigurationProfiles", (_APPLICATION,))
LIST_DEPLOYMENTS = Call("appconfig", "ListDeployments", (_APPLICATION, _ENVIRONMENT))
GET_DEPLOYMENT = Call("appconfig", "GetDeployment", (_APPLICATION, _ENVIRONMENT, _DEPLOYMENTS))
LIST_VERSIONS = Call("appconfig", "ListHostedConfigurationVersions", (_APPLICATION, _PROFILE))
GET_VERSION = Call("appconfig", "GetHostedConfigurationVersion", (_APPLICATION, _PROFILE, f"{_PROFILE}/hostedconfigurationversion/*"))
GET_STRATEGY = Call("appconfig", "GetDeploymentStrategy", (_STRATEGY,))
START_SESSION = Call("appconfigdata", "StartConfigurationSession", _SERVED, action="appconfig:StartConfigurationSession")
GET_LATEST = Call("appconfigdata", "GetLatestConfiguration", _SERVED, action="appconfig:GetLatestConfiguration")
STOP = Call("appconfig", "StopDeployment", (_APPLICATION, _ENVIRONMENT, _DEPLOYMENTS), writes=True)
START = Call("appconfig", "StartDeployment", (_APPLICATION, _ENVIRONMENT, _DEPLOYMENTS, _PROFILE, _STRATEGY), writes=True)
CREATE_VERSION = Call("appconfig", "CreateHostedConfigurationVersion", (_APPLICATION, _PROFILE), writes=True)

APPCONFIG = declare(
    "appconfig",
    (
        LIST_APPLICATIONS,
        LIST_ENVIRONMENTS,
        LIST_PROFILES,
        LIST_DEPLOYMENTS,
        GET_DEPLOYMENT,
        LIST_VERSIONS,
        GET_VERSION,
        GET_STRATEGY,
        START_SESSION,
        GET_LATEST,
        STOP,
        START,
        CREATE_VERSION,
    ),
    denied=(
        "appconfig:DeleteApplication",
        "appconfig:DeleteConfigurationProfile",
        "appconfig:DeleteDeploymentStrategy",
        "appconfig:DeleteEnvironment",
        "appconfig:DeleteHostedConfigurationVersion",
        "appconfig:UpdateApplication",
        "appconfig:UpdateConfigurationProfile",
        "appconfig:UpdateDeploymentStrategy",
        "appconfig:UpdateEnvironment",
    ),
)
