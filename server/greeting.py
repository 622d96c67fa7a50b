"""What a person sees first: where everything is, on which database, and who answers."""

from core.settings import Settings
from server.command_database import database_address

_EVERY_ADDRESS = {"", "0.0.0.0", "::"}  # noqa: S104 - recognised here, not bound to


def greeting(settings: Settings, host: str, port: int) -> str:
    """Return the lines that the server begins with; the first names the address of GraphQL."""
    name = "127.0.0.1" if host in _EVERY_ADDRESS else f"[{host}]" if ":" in host else host
    address = f"http://{name}:{port}"
    return "\n".join(
        (
            f"{'GraphQL' if settings.is_production else 'GraphiQL'} at {address}/graphql",
            f"REST at {address}/docs",
            f"MCP at {address}/mcp",
            f"Database: {database_address(settings)}",
            f"Assistant: {_assistant(settings)}",
        )
    )


def _assistant(settings: Settings) -> str:
    if settings.openai_api_key or settings.openai_base_url:
        return settings.assistant_model
    return "the offline model; set OPENAI_API_KEY for another"
