/** What may be done to a running gateway over HTTP. A new action is one row in the table that the gateway hands over. */

/** What the caller sent besides the name of the action: texts alone, each bounded by the size of the request. */
export type ActionArguments = Readonly<Record<string, string>>;

/** What was not done, and why, in words for people. */
export interface Refusal {
  readonly refused: string;
}

/** What has happened, in words for people; undefined when there is nothing of that kind. */
type Outcome = string | Refusal | undefined;

export type Action = (args: ActionArguments) => Outcome | Promise<Outcome>;

export type Actions = Readonly<Record<string, Action>>;

/** The request's JSON as an action; undefined when it is none. */
export function readAction(text: string): { name: string; args: ActionArguments } | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null) return undefined;
  const { action, ...rest } = value as Record<string, unknown>;
  const entries = Object.entries(rest);
  if (typeof action !== 'string' || !entries.every(([, one]) => typeof one === 'string')) return undefined;
  return { name: action, args: Object.fromEntries(entries) as ActionArguments };
}
