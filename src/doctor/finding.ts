/** What the doctor has found: what it is, why it matters, and the command that mends it. */
export type Level = 'problem' | 'warning' | 'ok';

export interface Finding {
  readonly level: Level;
  /** One sentence. */
  readonly what: string;
  /** What it does to readers; nothing where all is well. */
  readonly why?: string;
  /** A command line, or what to write where. */
  readonly mend?: string;
}

export const problem = (what: string, why: string, mend: string): Finding => ({
  level: 'problem',
  what,
  why,
  mend,
});

export const warning = (what: string, why: string, mend: string): Finding => ({
  level: 'warning',
  what,
  why,
  mend,
});

export const ok = (what: string): Finding => ({ level: 'ok', what });
