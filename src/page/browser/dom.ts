// Promises the only way in which the page makes and changes elements: whatever is said to a reader goes in as text and never as markup, with
// nothing hidden in it. Names of elements and attributes are always the page's own.

import { shown } from './words.ts';

type Child = Node | string | undefined;

export function element<K extends keyof HTMLElementTagNameMap>(
  name: K,
  attributes: Readonly<Record<string, string>> = {},
  ...children: readonly Child[]
): HTMLElementTagNameMap[K] {
  const made = document.createElement(name);
  for (const [attribute, value] of Object.entries(attributes)) made.setAttribute(attribute, value);
  for (const child of children) if (child !== undefined) made.append(typeof child === 'string' ? shown(child) : child);
  return made;
}

/** A stranger's words: they cannot turn the direction of what stands around them. */
export function quoted(text: string): HTMLElement {
  return element('bdi', {}, text);
}

export function button(text: string, attributes: Readonly<Record<string, string>>, press: () => void): HTMLButtonElement {
  const made = element('button', { type: 'button', ...attributes }, text);
  made.addEventListener('click', press);
  return made;
}

/** Untouched when it says so already, so that nothing is announced twice and no selection is lost. */
export function say(node: Element, text: string): void {
  const wanted = shown(text);
  if (node.textContent !== wanted) node.textContent = wanted;
}

export function mark(node: Element, attribute: string, value: string | undefined): void {
  if (value === undefined) node.removeAttribute(attribute);
  else if (node.getAttribute(attribute) !== value) node.setAttribute(attribute, value);
}

/** What the frame has under that id. */
export function part<T extends Element>(id: string, kind: abstract new () => T): T {
  const found = document.getElementById(id);
  if (found instanceof kind) return found;
  throw new Error(`the frame has no ${id}`);
}

export type Row<T> = { readonly node: HTMLElement; readonly update: (item: T) => void };

export type Rows<T> = (items: readonly T[]) => void;

/**
 * Keeps one row for each item, in order, as long as the item is there: focus, selection and hover outlive an update. When the row that had the
 * focus goes, `heir` gets it.
 */
export function rowsIn<T>(parent: Element, keyOf: (item: T) => string, make: (item: T) => Row<T>, heir: HTMLElement): Rows<T> {
  const rows = new Map<string, Row<T>>();
  return (items) => {
    const wanted = new Set(items.map(keyOf));
    for (const [key, { node }] of rows) {
      if (wanted.has(key)) continue;
      const focused = node.contains(document.activeElement);
      node.remove();
      rows.delete(key);
      if (focused) heir.focus();
    }
    let next = parent.firstElementChild;
    for (const item of items) {
      const key = keyOf(item);
      const row = rows.get(key) ?? make(item);
      rows.set(key, row);
      row.update(item);
      if (row.node === next) next = next.nextElementSibling;
      else parent.insertBefore(row.node, next);
    }
  };
}
