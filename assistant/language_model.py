"""Which model answers: that of a provider, or the offline model where none is set up."""

from typing import Any, Final
from zoneinfo import ZoneInfo

from core.clock import utc_now
from core.settings import Settings

OFFLINE: Final = "offline"
_CONNECT_TIMEOUT_S: Final = 10.0
_RETRIES: Final = 2
_OPENAI: Final = "https://api.openai.com/v1"


class LanguageModel:
    """Makes the SDK's models; a provider's connections are shared by all runs."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._client: Any = None
        has_provider = bool(settings.openai_api_key or settings.openai_base_url)
        self.name = settings.assistant_model if has_provider else OFFLINE

    def make(self, time_zone: str) -> Any:
        """Return the model for a run."""
        if self.name == OFFLINE:
            from assistant.offline.model import OfflineModel  # noqa: PLC0415 - loads slowly, and not for everyone

            return OfflineModel(utc_now, ZoneInfo(time_zone))
        from agents import OpenAIChatCompletionsModel  # noqa: PLC0415 - as above

        return OpenAIChatCompletionsModel(self.name, self._provider())

    def _provider(self) -> Any:
        import httpx2  # noqa: PLC0415 - as above
        from openai import AsyncOpenAI  # noqa: PLC0415 - as above

        from assistant.provider_client import ProviderClient  # noqa: PLC0415 - as above

        if self._client is None:
            self._client = AsyncOpenAI(
                # Providers of one's own often want none, and the client insists on one.
                api_key=self._settings.openai_api_key or "none",
                # The client would read the variable itself, and take one that is set to nothing for an address.
                base_url=self._settings.openai_base_url or _OPENAI,
                http_client=ProviderClient(),
                timeout=httpx2.Timeout(self._settings.assistant_stall_s, connect=_CONNECT_TIMEOUT_S),
                # Of requests alone that came to nothing: an answer that has begun is not asked for again.
                max_retries=_RETRIES,
            )
        return self._client

    async def close(self) -> None:
        """Close the provider's connections."""
        if self._client is not None:
            await self._client.close()
