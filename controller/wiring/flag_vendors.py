"""From the hosted flag services of the config to the targets of their flags. An adapter is imported where it is configured."""

from collections.abc import Mapping

from rollbackd.adapters.base.target import Target
from rollbackd.controller.config import flag_vendors as vendors
from rollbackd.controller.config.flags import FlagProviderConfig, place_of


def vendor_targets(providers: Mapping[str, FlagProviderConfig]) -> dict[str, Target]:
    """A target for each hosted service that is configured."""
    made = {
        vendors.LaunchDarklyProvider.kind: _launchdarkly,
        vendors.FlagsmithProvider.kind: _flagsmith,
        vendors.GrowthBookProvider.kind: _growthbook,
        vendors.ConfigCatProvider.kind: _configcat,
    }
    configured = {provider.kind for provider in providers.values()}
    return {kind: make(providers) for kind, make in made.items() if kind in configured}


def _launchdarkly(providers: Mapping[str, FlagProviderConfig]) -> Target:
    from rollbackd.adapters.launchdarkly import LaunchDarkly, Project, api

    def project(name: str, p: vendors.LaunchDarklyProvider) -> Project:
        rest = api(p.url, p.token_file, ca_file=p.ca_file, timeout=p.timeout)
        sdk = {environment: api(p.sdk_url, file, ca_file=p.ca_file, timeout=p.timeout) for environment, file in p.key_files.items()}
        return Project(name, rest, p.project, sdk=sdk, settle=p.settle, safe_states=p.safe_states, max_flags=p.max_flags)

    found = {name: p for name, p in providers.items() if isinstance(p, vendors.LaunchDarklyProvider)}
    return LaunchDarkly({place_of(name, p): project(name, p) for name, p in found.items()})


def _flagsmith(providers: Mapping[str, FlagProviderConfig]) -> Target:
    from rollbackd.adapters.flagsmith import Flagsmith, Project, api

    def project(name: str, p: vendors.FlagsmithProvider) -> Project:
        admin = api(p.url, p.token_file, ca_file=p.ca_file, timeout=p.timeout)
        return Project(name, admin, p.number, flags_url=p.flags_url, settle=p.settle, safe_states=p.safe_states, max_flags=p.max_flags)

    found = {name: p for name, p in providers.items() if isinstance(p, vendors.FlagsmithProvider)}
    return Flagsmith({place_of(name, p): project(name, p) for name, p in found.items()})


def _growthbook(providers: Mapping[str, FlagProviderConfig]) -> Target:
    from rollbackd.adapters.growthbook import GrowthBook, Organisation, api, sdk_api

    def organisation(name: str, p: vendors.GrowthBookProvider) -> Organisation:
        rest = api(p.url, p.token_file, ca_file=p.ca_file, timeout=p.timeout)
        sdk = {environment: sdk_api(p.sdk_url, file, ca_file=p.ca_file, timeout=p.timeout) for environment, file in p.key_files.items()}
        return Organisation(name, rest, p.project, sdk=sdk, settle=p.settle, safe_states=p.safe_states, max_flags=p.max_flags)

    found = {name: p for name, p in providers.items() if isinstance(p, vendors.GrowthBookProvider)}
    return GrowthBook({place_of(name, p): organisation(name, p) for name, p in found.items()})


def _configcat(providers: Mapping[str, FlagProviderConfig]) -> Target:
    from rollbackd.adapters.configcat import ConfigCat, ConfigFile, api, cdn

    def config(name: str, p: vendors.ConfigCatProvider) -> ConfigFile:
        management = api(p.url, p.token_file, ca_file=p.ca_file, timeout=p.timeout)
        files = {environment: cdn(p.cdn_url, file, ca_file=p.ca_file, timeout=p.timeout) for environment, file in p.key_files.items()}
        return ConfigFile(name, management, p.product, p.config, cdn=files, settle=p.settle, safe_states=p.safe_states, max_flags=p.max_flags)

    found = {name: p for name, p in providers.items() if isinstance(p, vendors.ConfigCatProvider)}
    return ConfigCat({place_of(name, p): config(name, p) for name, p in found.items()})
