/** Actions on a running gateway over HTTP. The gateway passes a table of them; a new action is one row. */

/** The arguments of an action, all strings. The size of the request limits them. */
export type ActionArguments = Readonly<Record<string, string>>;

/** The reason why an action was refused, as text for people. */
export interface Refusal {
  readonly refused: string;
}

/** What was done, as text for people; undefined if the object does not exist. */
type Outcome = string | Refusal | undefined;

export interface Action {
  /** The arguments that a request must have. They may be empty. */
  readonly needs: readonly string[];
  readonly run: (args: ActionArguments) => Outcome | Promise<Outcome>;
}

export type Actions = Readonly<Record<string, Action>>;

/** Parses the JSON of a request; undefined if it is not an action. */
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
