/** Shows the tasks beside the talk; they can be changed by hand as well. */
import { List, make, setText, type View } from "./elements";
import type { Task } from "./rows";

const DAY_MS = 86_400_000;
const TIME = new Intl.DateTimeFormat(undefined, { timeStyle: "short" });
const WEEKDAY = new Intl.DateTimeFormat(undefined, { weekday: "long" });
const DAY = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
const NEAR = new Intl.RelativeTimeFormat(undefined, { numeric: "auto" });
const DAYS_OF_WEEK = 7;

export class Tasks {
  private readonly list: List<Task>;

  constructor(
    parent: Element,
    private readonly count: Element,
    onToggle: (taskId: string, completed: boolean) => void,
  ) {
    this.list = new List(parent, ({ id }) => new TaskView((completed) => onToggle(id, completed)));
  }

  show(tasks: readonly Task[]): void {
    this.list.show(tasks);
    setText(this.count, `${tasks.filter(({ completed }) => !completed).length} open`);
  }
}

class TaskView implements View<Task> {
  readonly element = make("li", "task");
  private readonly box = make("input");
  private readonly title = make("span", "title");
  private readonly details = make("span", "details");

  constructor(onToggle: (completed: boolean) => void) {
    this.box.type = "checkbox";
    this.box.addEventListener("change", () => onToggle(this.box.checked));
    this.title.dir = "auto";
    this.element.append(make("label", "", this.box, this.title), this.details);
  }

  show({ title, completed, priority, dueAt, tags }: Task): void {
    const due = dueAt === null || completed ? [] : [dueMark(new Date(dueAt))];
    const level = priority.toLowerCase();
    const mark = level === "medium" || completed ? [] : [make("span", level, `${level} priority`)];
    this.element.classList.toggle("done", completed);
    this.box.checked = completed;
    setText(this.title, title);
    this.details.replaceChildren(...due, ...mark, ...tags.map((tag) => make("span", "tag", `#${tag}`)));
  }
}

function dueMark(due: Date): HTMLElement {
  const mark = make("time", due.getTime() < Date.now() ? "due late" : "due", dueText(due));
  mark.dateTime = due.toISOString();
  return mark;
}

/** "today", "tomorrow 09:00", "Friday", "3 Mar": what is due by a day's end names no time. */
function dueText(due: Date): string {
  const days = Math.round((startOfDay(due) - startOfDay(new Date())) / DAY_MS);
  const isDay = due.getHours() === 23 && due.getMinutes() === 59;
  return `${dayText(due, days)}${isDay ? "" : ` ${TIME.format(due)}`}`;
}

function dayText(due: Date, days: number): string {
  if (Math.abs(days) <= 1) return NEAR.format(days, "day");
  return days > 0 && days < DAYS_OF_WEEK ? WEEKDAY.format(due) : DAY.format(due);
}

function startOfDay(moment: Date): number {
  return new Date(moment.getFullYear(), moment.getMonth(), moment.getDate()).getTime();
}
