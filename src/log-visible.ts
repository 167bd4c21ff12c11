// Promises JSON text, and lines for a terminal, in which every character that a terminal obeys or a reader cannot see is written as an escape:
// the same data for a program, and for a person nothing that moves the cursor, turns the direction of a line or hides. JSON itself escapes
// only those below U+0020.

const misleading = new RegExp(
  [
    String.raw`[\u007f-\u009f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0]`,
    String.raw`[\ufff0-\uffff]`,
    // Tags: an alphabet that nobody sees.
    String.raw`\udb40[\udc00-\udfff]`,
  ].join('|'),
  'g',
);

export function visible(json: string): string {
  return json.replaceAll(misleading, (found) => found.split('').map(escapeOf).join(''));
}

const control = new RegExp(String.raw`[\u0000-\u001f]`, 'g');

/** The same for text that is no JSON: one line, whatever it held. */
export function visibleLine(text: string): string {
  return visible(text.toWellFormed().replaceAll(control, escapeOf));
}

function escapeOf(unit: string): string {
  return `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`;
}
