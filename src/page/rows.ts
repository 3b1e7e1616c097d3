/** What a table shows. Types only, and nothing of the browser. */

export interface Cell {
  readonly text: string;
  /** Classes. */
  readonly style?: string;
}

export interface RowButton {
  readonly label: string;
  /** What it is about, for those who do not see the row. */
  readonly about: string;
  readonly press: () => void;
}

export interface Row {
  /** The same for the same thing. */
  readonly key: string;
  readonly cells: readonly (Cell | string)[];
  readonly button?: RowButton | undefined;
}
