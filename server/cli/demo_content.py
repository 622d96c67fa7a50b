"""The tasks and conversations of the demo account: a believable month."""

from dataclasses import dataclass
from typing import Final

from models import MessageRole, TaskPriority

LOW, MEDIUM, HIGH = TaskPriority
YOU, ASSISTANT = MessageRole


@dataclass(frozen=True, slots=True)
class DemoTask:
    """A task; days count from today, those before it are negative."""

    title: str
    made: float
    due: float | None = None
    done: float | None = None
    priority: TaskPriority = MEDIUM
    tags: tuple[str, ...] = ()
    description: str | None = None
    subtasks: "tuple[DemoTask, ...]" = ()


@dataclass(frozen=True, slots=True)
class DemoConversation:
    """A conversation of messages that are a minute apart."""

    title: str
    begun: float
    messages: tuple[tuple[MessageRole, str], ...]


TASKS: Final = (
    DemoTask("Renew the passport", -30, -9, -12, HIGH, ("home", "papers"), "The old one expires in the autumn."),
    DemoTask(
        "Move to the new flat",
        -29,
        9,
        priority=HIGH,
        tags=("home", "move"),
        description="Keys on the first. The lift is too small for the sofa: ask for help.",
        subtasks=(
            DemoTask("Give notice for the old flat", -29, -26, -27, HIGH, ("move", "papers")),
            DemoTask("Compare three moving companies", -25, -18, -19, tags=("move",)),
            DemoTask("Order twenty boxes", -18, -10, -11, LOW, ("move", "shopping")),
            DemoTask("Change the address at the bank", -10, 8, tags=("move", "papers")),
            DemoTask("Read the electricity meter", -10, 9, tags=("move",)),
            DemoTask("Pack the books", -6, 5, tags=("move",)),
        ),
    ),
    DemoTask("Dentist: check-up", -28, -14, -14, tags=("health",), description="Half past eight, take the tram."),
    DemoTask("Write the quarterly report", -27, -16, -16.5, HIGH, ("work",), "Figures are in the shared folder."),
    DemoTask("Buy a birthday present for Mia", -26, -20, -21, tags=("family", "shopping")),
    DemoTask("Read chapter 4 of the statistics book", -25, None, -17, LOW, ("learning",)),
    DemoTask("Water the plants", -24, -23, -23, LOW, ("home",)),
    DemoTask("Reply to the landlord", -24, -23, -23.5, HIGH, ("home", "papers")),
    DemoTask("Book trains to Lisbon", -23, -12, -13, tags=("travel",), description="Window seats, if there are any."),
    DemoTask(
        "Prepare slides for the team day", -22, -15, -15.2, HIGH, ("work",), "Ten minutes, no more than six slides."
    ),
    DemoTask("Repair the bicycle light", -21, None, -8, LOW, ("home", "bike")),
    DemoTask("Call grandmother", -21, -20, -20, tags=("family",)),
    DemoTask("File the expenses of last month", -20, -13, -13, tags=("work", "papers")),
    DemoTask("Run 5 km", -19, -18, -18, LOW, ("health",)),
    DemoTask("Back up the laptop", -18, -11, -9, HIGH, ("home",), "To the external disk, then to the cloud."),
    DemoTask("Review the pull request about search", -17, -16, -16, HIGH, ("work",)),
    DemoTask("Find a tenant for the old flat", -17, -2, -3, HIGH, ("home", "move")),
    DemoTask("Buy milk, eggs and coffee", -16, -16, -16, LOW, ("shopping",)),
    DemoTask("Learn twenty Portuguese words", -15, -8, -7.5, LOW, ("learning", "travel")),
    DemoTask("Vaccination at the doctor's", -14, -5, -5, tags=("health",)),
    DemoTask("Cancel the gym membership", -14, -1, priority=HIGH, tags=("papers",), description="Three weeks' notice."),
    DemoTask(
        "Plan the weekend in Lisbon",
        -13,
        12,
        tags=("travel",),
        subtasks=(
            DemoTask("Reserve a room near the river", -13, -6, -6.4, HIGH, ("travel",)),
            DemoTask("Make a list of three museums", -12, 6, tags=("travel",)),
            DemoTask("Ask Tom for restaurants", -12, 4, priority=LOW, tags=("travel",)),
        ),
    ),
    DemoTask("Interview with the candidate for design", -12, -10, -10, HIGH, ("work",)),
    DemoTask("Order new glasses", -11, 3, tags=("health", "shopping")),
    DemoTask("Water the plants", -10, -9, -9, LOW, ("home",)),
    DemoTask("Write the meeting's minutes", -9, -8, -8, tags=("work",)),
    DemoTask("Clean the windows", -8, None, priority=LOW, tags=("home",)),
    DemoTask("Estimate the import feature", -7, -4, -4.3, HIGH, ("work",), "Two variants: with preview, and without."),
    DemoTask("Give feedback on the design draft", -6, -5, -5.1, tags=("work",)),
    DemoTask("Return the library books", -6, 1, tags=("learning",)),
    DemoTask("Run 5 km", -5, -4, -4, LOW, ("health",)),
    DemoTask("Prepare the import feature's tests", -4, 2, priority=HIGH, tags=("work",)),
    DemoTask("Compare health insurances", -4, 20, priority=LOW, tags=("papers", "health")),
    DemoTask("Thank Anna for the introduction", -3, -2, -2.8, LOW, ("work",)),
    DemoTask(
        "Write a letter of reference for Sam", -3, 4, tags=("work",), description="One page. Sam needs it on Friday."
    ),
    DemoTask("Buy a lamp for the hallway", -2, None, priority=LOW, tags=("shopping", "move")),
    DemoTask("Water the plants", -2, 0, priority=LOW, tags=("home",)),
    DemoTask("Pay the electricity bill", -1, 1, priority=HIGH, tags=("papers", "home")),
    DemoTask("Invite everybody to the house-warming", -1, 14, tags=("family", "move")),
    DemoTask("Write down ideas for next quarter", -0.4, 7, tags=("work",)),
)

CONVERSATIONS: Final = (
    DemoConversation(
        "Planning the move",
        -29,
        (
            (YOU, "I am moving on the first of next month. What should I do first?"),
            (
                ASSISTANT,
                (
                    "Give notice for the old flat: that has the earliest deadline. Then book a moving company, and "
                    "leave changes of address for the last two weeks. Shall I make a task with these as subtasks?"
                ),
            ),
            (YOU, "Yes, please. High priority for the notice."),
            (ASSISTANT, "Done: “Move to the new flat” with its first subtasks. The notice is due in three days."),
        ),
    ),
    DemoConversation(
        "What is due this week?",
        -21,
        (
            (YOU, "What is due this week?"),
            (ASSISTANT, "Five tasks. The report and the slides are the large ones; both have high priority."),
            (YOU, "Can the slides wait until the report is sent?"),
            (ASSISTANT, "Yes: the slides are due a day after the report. Two evenings will do for six slides."),
        ),
    ),
    DemoConversation(
        "Lisbon",
        -13,
        (
            (YOU, "Three days in Lisbon in spring. What needs booking ahead?"),
            (ASSISTANT, "The trains are booked. A room is what gets dear: reserve it this week. Museums can wait."),
            (YOU, "Add a task for the room, and one for museums."),
            (ASSISTANT, "Both are under “Plan the weekend in Lisbon”."),
            (YOU, "And remind me to ask Tom about restaurants."),
            (ASSISTANT, "Added, with low priority."),
        ),
    ),
    DemoConversation(
        "Estimating the import feature",
        -6.5,
        (
            (YOU, "Help me estimate an import of tasks from a spreadsheet."),
            (
                ASSISTANT,
                (
                    "Split it: reading the file, matching columns, showing a preview, writing all or nothing, and "
                    "telling what was refused. The preview is about a third of the work; you could leave it for later."
                ),
            ),
            (YOU, "Good. I will give two variants."),
        ),
    ),
    DemoConversation(
        "A letter for Sam",
        -3,
        (
            (YOU, "How long should a letter of reference be?"),
            (ASSISTANT, "One page: how you know them, two things they did well with an example each, and a clear yes."),
        ),
    ),
    DemoConversation(
        "Today",
        -0.3,
        (
            (YOU, "What should I not forget today?"),
            (ASSISTANT, "The plants, and the gym: its notice was due yesterday. The electricity bill is due tomorrow."),
            (YOU, "Thanks!"),
        ),
    ),
)
