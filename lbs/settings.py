"""All settings: read once from `LBS_*` by the command line or a test, then handed down, never changed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import DirectoryPath, Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SecretsSettingsSource, SettingsConfigDict

MIN_SECRET_LENGTH = 32
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class Settings(BaseSettings):
    """Each field is the environment variable `LBS_<FIELD>`; `docs/reference/settings.md` explains them to operators."""

    model_config = SettingsConfigDict(env_prefix="LBS_", frozen=True, extra="ignore")

    home: Annotated[Path, Field(description="Keeps everything that runs: private servers, logs, the secret key.")] = (
        Path(".lbs")
    )
    database_url: Annotated[
        SecretStr | None, Field(description="PostgreSQL with PostGIS; none: a private server under LBS_HOME.")
    ] = None
    redis_url: Annotated[SecretStr | None, Field(description="Redis; none: a private server under LBS_HOME.")] = None
    redis_prefix: Annotated[str, Field(description="First part of every Redis key.", pattern=r"^[A-Za-z0-9_.:-]+$")] = (
        "lbs"
    )
    secret_key: Annotated[
        SecretStr | None,
        Field(description="Signs device tokens and encrypts stored credentials; none: made once under LBS_HOME."),
    ] = None
    secrets_dir: Annotated[
        DirectoryPath | None,
        Field(description="Folder whose files hold settings, each named like its variable; variables stand above."),
    ] = None
    host: Annotated[str, Field(description="Address the API listens on.")] = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65_535, description="Port of the API; 0 takes a free one.")] = 0
    public_url: Annotated[str | None, Field(description="How clients reach the API, if not at host and port.")] = None
    installation_name: Annotated[
        str, Field(min_length=1, max_length=100, description="What the console calls this installation.")
    ] = "LBS"
    map_style_url: Annotated[
        str | None, Field(description="MapLibre style beneath the console's maps; none: its own layers alone.")
    ] = None
    trusted_proxies: Annotated[
        str, Field(description="Addresses whose X-Forwarded-For and -Proto are believed, with commas; * is all.")
    ] = "127.0.0.1"
    allow_private_addresses: Annotated[
        bool, Field(description="Web Push and webhooks may go to loopback and private addresses (development).")
    ] = False
    webpush_contact: Annotated[str, Field(description="Whom a push service writes to: mailto: or https: URL.")] = (
        "mailto:operator@example.org"
    )
    push: Annotated[
        Literal["providers", "log"], Field(description="Whether messages reach phones, or only the log.")
    ] = "providers"
    apns_url: Annotated[str, Field(description="Where Apple's push service is.")] = "https://api.push.apple.com"
    apns_sandbox_url: Annotated[str, Field(description="The same for apps added with --sandbox.")] = (
        "https://api.sandbox.push.apple.com"
    )
    fcm_url: Annotated[str, Field(description="Where Firebase Cloud Messaging is.")] = "https://fcm.googleapis.com"
    google_token_url: Annotated[str, Field(description="Where service accounts get their access tokens.")] = (
        "https://oauth2.googleapis.com/token"  # noqa: S105 - an address
    )
    ca_file: Annotated[
        Path | None,
        Field(description="Certificate authorities that push trusts, in PEM; none: the public ones."),
    ] = None
    horizon_s: Annotated[float, Field(gt=0, description="Oldest age of a position that is still accepted.")] = 86_400
    future_s: Annotated[float, Field(ge=0, description="How far ahead of ours a phone's clock may be.")] = 60
    change_delay_s: Annotated[float, Field(ge=0, description="From a change of a fence to its taking effect.")] = 2
    retention_days: Annotated[int, Field(ge=2, description="Days that raw positions are kept.")] = 7
    webhook_days: Annotated[
        int, Field(ge=4, description="Days that attempts at webhooks are kept, and what waits for one that is paused.")
    ] = 14
    k_anonymity: Annotated[int, Field(ge=1, description="No published figure rests on fewer devices.")] = 5
    redis_fsync: Annotated[
        Literal["everysec", "always"], Field(description="When the private Redis makes an append durable.")
    ] = "everysec"
    max_body_bytes: Annotated[int, Field(gt=0, description="Larger request bodies are refused.")] = 4_000_000
    max_import_bytes: Annotated[int, Field(gt=0, description="Larger files are refused by the imports over HTTP.")] = (
        100_000_000
    )
    register_per_minute: Annotated[
        int, Field(gt=0, description="Devices that one publishable key may register a minute.")
    ] = 600
    session_s: Annotated[float, Field(gt=0, description="How long somebody stays signed in at most.")] = 604_800
    session_idle_s: Annotated[
        float, Field(gt=0, description="How long somebody stays signed in without asking for anything.")
    ] = 28_800
    sign_ins_per_email: Annotated[
        int, Field(gt=0, description="Attempts to sign in with one e-mail address, each quarter of an hour.")
    ] = 10
    sign_ins_per_address: Annotated[
        int, Field(gt=0, description="Attempts to sign in from one network address, each quarter of an hour.")
    ] = 100
    oidc_issuer: Annotated[
        str | None, Field(description="OpenID Connect provider that people may sign in at; none: passwords only.")
    ] = None
    oidc_client_id: Annotated[str | None, Field(description="What the provider calls this installation.")] = None
    oidc_client_secret: Annotated[
        SecretStr | None, Field(description="The client's secret at the provider; none: a public client.")
    ] = None
    log_max_bytes: Annotated[
        int, Field(gt=0, description="Memory that the log may take in Redis before positions are refused.")
    ] = 1_000_000_000
    prepare_token_s: Annotated[
        float, Field(ge=10, le=3_600, description="How long a till may take from scanning a code to redeeming it.")
    ] = 300
    cancel_s: Annotated[
        float, Field(ge=0, le=7 * 86_400, description="How long after a redemption it may be cancelled.")
    ] = 3_600
    code_guesses: Annotated[
        int, Field(ge=1, le=1_000, description="Codes that nobody was given, by one key at one store, before it waits.")
    ] = 10
    code_lock_s: Annotated[
        int, Field(ge=10, le=86_400, description="How long wrong codes are counted, and how long a key waits at most.")
    ] = 900
    lease_s: Annotated[
        float, Field(ge=1, le=60, description="How long a silent engine keeps its shards before others take them.")
    ] = 6
    metrics_port: Annotated[
        int | None,
        Field(
            ge=1, le=65_533, description="Where the engine shows its metrics; worker and scheduler one and two above."
        ),
    ] = None
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - there is no such file
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - it is known only now where secrets lie
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        folder = os.environ.get("LBS_SECRETS_DIR")
        if not folder or not Path(folder).is_dir():
            return init_settings, env_settings  # a folder that is missing is refused as any bad value is
        return init_settings, env_settings, SecretsSettingsSource(settings_cls, secrets_dir=folder)

    @model_validator(mode="after")
    def _secret_is_long(self) -> Self:
        if self.secret_key is not None and len(self.secret_key.get_secret_value()) < MIN_SECRET_LENGTH:
            raise ValueError(f"LBS_SECRET_KEY needs at least {MIN_SECRET_LENGTH} characters")
        return self

    @model_validator(mode="after")
    def _provider_is_whole(self) -> Self:
        if bool(self.oidc_issuer) != bool(self.oidc_client_id):
            raise ValueError("LBS_OIDC_ISSUER and LBS_OIDC_CLIENT_ID belong together")
        issuer = urlsplit(self.oidc_issuer or "https://")
        if issuer.scheme != "https" and not (issuer.scheme == "http" and issuer.hostname in LOOPBACK):
            raise ValueError("LBS_OIDC_ISSUER must be an https URL; http is for a provider on this machine")
        return self
