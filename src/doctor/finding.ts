/** A finding of the doctor: what it is, why it matters, and the command that fixes it. */
export type Level = 'problem' | 'warning' | 'ok';

export interface Finding {
  readonly level: Level;
  /** One sentence. */
  readonly what: string;
  /** How it affects readers; undefined for `ok`. */
  readonly why?: string;
  /** A command line, or a configuration setting, that fixes it; undefined for `ok`. */
  readonly fix?: string;
}

export const problem = (what: string, why: string, fix: string): Finding => ({
  level: 'problem',
  what,
  why,
  fix,
});

export const warning = (what: string, why: string, fix: string): Finding => ({
  level: 'warning',
  what,
  why,
  fix,
});

export const ok = (what: string): Finding => ({ level: 'ok', what });
