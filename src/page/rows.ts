/** The content of a table. Types only, independent of the browser. */

export interface Cell {
  readonly text: string;
  /** CSS classes. */
  readonly style?: string;
}

export interface RowButton {
  readonly label: string;
  /** The object of the button, for screen readers. */
  readonly about: string;
  readonly press: () => void;
}

export interface Row {
  /** Identifies the row across updates. */
  readonly key: string;
  readonly cells: readonly (Cell | string)[];
  readonly button?: RowButton | undefined;
}
