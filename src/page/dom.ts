/** Tables that are updated in place, so that focus, selection and scroll position are kept. */
import type { Row } from './rows.ts';

/** The element with this id, which the page's HTML must contain. */
export function byId(id: string): HTMLElement {
  const element = document.getElementById(id);
  if (!element) throw new Error(`the page has no #${id}`);
  return element;
}

export function show(id: string, visible: boolean): void {
  byId(id).hidden = !visible;
}

/** Sets the text only if it differs, so that a selection is kept. */
export function setText(element: Element, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}

interface ShownRow {
  readonly element: HTMLTableRowElement;
  readonly cells: readonly HTMLTableCellElement[];
  readonly button: HTMLButtonElement | undefined;
  press: () => void;
}

/** A table with a fixed head. While it has no rows it is removed from the page. */
export class LiveTable {
  readonly #container: HTMLElement;
  readonly #head: readonly string[];
  readonly #caption: string;
  readonly #rows = new Map<string, ShownRow>();
  #body: HTMLTableSectionElement | undefined;

  constructor(container: HTMLElement, caption: string, head: readonly string[]) {
    this.#container = container;
    this.#caption = caption;
    this.#head = head;
  }

  update(rows: readonly Row[]): void {
    if (rows.length === 0) {
      this.#container.replaceChildren();
      this.#rows.clear();
      this.#body = undefined;
      return;
    }
    const body = (this.#body ??= this.#make());
    const wanted = new Set(rows.map(({ key }) => key));
    for (const [key, { element }] of this.#rows) {
      if (wanted.has(key)) continue;
      element.remove();
      this.#rows.delete(key);
    }
    let place: ChildNode | null = body.firstChild;
    for (const row of rows) {
      const shown = this.#shown(row);
      fill(shown, row);
      // Do not move a row that is in the right place: it would lose the focus.
      if (shown.element === place) place = place.nextSibling;
      else body.insertBefore(shown.element, place);
    }
  }

  #make(): HTMLTableSectionElement {
    const table = document.createElement('table');
    table.className = 'rows';
    table.setAttribute('aria-label', this.#caption);
    const head = table.createTHead().insertRow();
    for (const name of this.#head) {
      const cell = document.createElement('th');
      cell.scope = 'col';
      cell.textContent = name;
      head.append(cell);
    }
    const body = table.createTBody();
    this.#container.replaceChildren(table);
    return body;
  }

  #shown(row: Row): ShownRow {
    const known = this.#rows.get(row.key);
    if (known && (known.button !== undefined) === (row.button !== undefined)) return known;
    known?.element.remove();
    const element = document.createElement('tr');
    const cells = row.cells.map((_, index) => {
      const cell = element.insertCell();
      cell.dataset['label'] = this.#head[index] ?? '';
      return cell;
    });
    const button = row.button && document.createElement('button');
    if (button) element.insertCell().append(button);
    const shown: ShownRow = { element, cells, button, press: () => undefined };
    button?.addEventListener('click', () => shown.press());
    this.#rows.set(row.key, shown);
    return shown;
  }
}

function fill(shown: ShownRow, { cells, button }: Row): void {
  for (const [index, cell] of cells.entries()) {
    const { text, style = '' } = typeof cell === 'string' ? { text: cell } : cell;
    const element = shown.cells[index]!;
    setText(element, text);
    if (element.className !== style) element.className = style;
  }
  if (!button || !shown.button) return;
  shown.press = button.press;
  setText(shown.button, button.label);
  shown.button.setAttribute('aria-label', `${button.label}: ${button.about}`);
}
