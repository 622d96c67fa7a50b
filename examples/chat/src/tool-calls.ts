/** What the assistant does, in words. */
import type { ToolCall } from "./rows";

type TitleOf = (taskId: unknown) => string | undefined;

const VERBS: Readonly<Record<string, readonly [doing: string, done: string]>> = {
  list_tasks: ["Looking at", "Looked at"],
  search: ["Searching for", "Searched for"],
  add_task: ["Adding", "Added"],
  update_task: ["Changing", "Changed"],
  complete_task: ["Completing", "Completed"],
  reopen_task: ["Reopening", "Reopened"],
  delete_task: ["Deleting", "Deleted"],
};
const READING = ["list_tasks", "search"];

/** Whether it changed, or may have changed, something that can be taken back. */
export function changes({ name, callStatus }: ToolCall): boolean {
  return callStatus === "COMPLETED" && name in VERBS && !READING.includes(name);
}

export function describe(call: ToolCall, titleOf: TitleOf): string {
  const [doing, done] = VERBS[call.name] ?? ["Using", "Used"];
  const what = objectOf(call, titleOf);
  if (call.callStatus === "COMPLETED") return `${done} ${what}`;
  if (call.callStatus === "REJECTED") return call.name === "delete_task" ? `Kept ${what}` : `Not allowed: ${what}`;
  return call.callStatus === "FAILED" ? `${doing} ${what} failed` : `${doing} ${what} …`;
}

/** What the person is asked before it is done. */
export function question(call: ToolCall, titleOf: TitleOf): string {
  if (call.name === "delete_task") return `Delete ${objectOf(call, titleOf)}?`;
  return `Use ${call.name} with ${JSON.stringify(call.arguments)}?`;
}

function objectOf({ name, arguments: given }: ToolCall, titleOf: TitleOf): string {
  if (!(name in VERBS)) return name;
  if (name === "list_tasks") return "the tasks";
  if (name === "search") return quote(given["query"]);
  const title = name === "add_task" ? given["title"] : titleOf(given["task_id"]);
  return title === undefined ? "a task" : quote(title);
}

function quote(text: unknown): string {
  return `“${String(text)}”`;
}
