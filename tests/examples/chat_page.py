"""The example chat as somebody uses it."""

from collections.abc import Sequence

from playwright.async_api import Locator, Page, expect

from tests.browsers import WatchedPage
from tests.examples.elsewhere import Elsewhere


class ChatPage(WatchedPage):
    """The page and what is on it, for the person who is elsewhere too."""

    def __init__(self, page: Page, url: str, elsewhere: Elsewhere) -> None:
        super().__init__(page)
        self.url, self.elsewhere = url, elsewhere

    @property
    def status(self) -> Locator:
        return self.page.locator("#status")

    @property
    def messages(self) -> Locator:
        """What was said; of a reply, only its text."""
        return self.page.get_by_role("list", name="Messages").locator(".user, .text")

    @property
    def replies(self) -> Locator:
        return self.page.locator(".assistant")

    @property
    def tasks(self) -> Locator:
        return self.page.get_by_role("list", name="Tasks").locator(".title")

    @property
    def field(self) -> Locator:
        return self.page.get_by_label("Message", exact=True)

    def button(self, name: str) -> Locator:
        return self.page.get_by_role("button", name=name, exact=True)

    def box(self, title: str) -> Locator:
        return self.page.get_by_role("checkbox", name=title)

    async def enter(self, button: str = "Sign in", *, over: str = "socket") -> None:
        await self.page.goto(f"{self.url}/?over={over}")
        await self.page.get_by_label("Email").fill(self.elsewhere.email)
        await self.page.get_by_label("Password").fill(self.elsewhere.password)
        await self.button(button).click()
        await expect(self.status).to_have_text("live")

    async def join(self, *, over: str = "socket") -> None:
        """Make an account of it, and sign in elsewhere too."""
        await self.enter("Create an account", over=over)
        await self.elsewhere.sign_in()

    async def write(self, content: str) -> None:
        await self.field.fill(content)
        await self.field.press("Enter")

    async def ask(self, content: str, reply: str) -> None:
        await self.write(content)
        await expect(self.messages.nth(-2)).to_have_text(content)
        await expect(self.messages.last).to_contain_text(reply)
        await expect(self.button("Stop")).to_be_hidden()

    async def record_reply(self) -> None:
        """From now on, keep every text that the last reply shows."""
        await self.page.evaluate("""() => {
            window.shown = [];
            const note = () => {
                const text = [...document.querySelectorAll(".assistant .text")].at(-1)?.textContent ?? "";
                if (text !== (window.shown.at(-1) ?? "")) window.shown.push(text);
            };
            const options = { childList: true, characterData: true, subtree: true };
            new MutationObserver(note).observe(document.querySelector("#messages"), options);
        }""")

    async def recorded(self) -> Sequence[str]:
        recorded: list[str] = await self.page.evaluate("() => window.shown")
        return recorded
