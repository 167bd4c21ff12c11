// Promises the words of the doctor: what a finding is, all of them as a table for a person or as JSON for a program, and the exit code that
// they come to: 0 unless something failed. Pure.

import { visibleLine } from './log-visible.ts';

/** Something that is wrong, and what to do about it. */
export type Fault = { readonly what: string; readonly remedy?: string };

/** `warning`: it works, but not for everybody or not for ever. `skipped`: it could not be looked at, because of something else. */
export type State = 'ok' | 'warning' | 'failed' | 'skipped';

export type Finding = {
  readonly area: string;
  readonly name: string;
  readonly state: State;
  readonly sentence: string;
  /** null = nothing is to be done. */
  readonly remedy: string | null;
};

export type Place = Pick<Finding, 'area' | 'name'>;

export function faultSentence({ what, remedy }: Fault): string {
  return remedy === undefined ? `${what}.` : `${what}: ${remedy}.`;
}

export function wellAt(place: Place, sentence: string): Finding {
  return { ...place, state: 'ok', sentence, remedy: null };
}

export function skippedAt(place: Place, why: string): Finding {
  return { ...place, state: 'skipped', sentence: why, remedy: null };
}

export function faultAt(place: Place, { what, remedy }: Fault, state: 'failed' | 'warning' = 'failed'): Finding {
  return { ...place, state, sentence: /[.!?]$/.test(what) ? what : `${what}.`, remedy: remedy ?? null };
}

/** What a look finds; one that cannot be finished is a failure of its own and takes no other with it. */
export async function findingsOf(place: Place, look: () => Promise<readonly Finding[]>): Promise<readonly Finding[]> {
  try {
    return await look();
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return [faultAt(place, { what: `This could not be looked at: ${why}`, remedy: 'run it as root, on the host of the service' })];
  }
}

export function exitOf(findings: readonly Finding[]): 0 | 1 {
  return findings.some(({ state }) => state === 'failed') ? 1 : 0;
}

export function jsonOf(findings: readonly Finding[]): string {
  const rows = findings.map(({ area, name, state, sentence, remedy }) => ({ area, name, state, sentence, remedy }));
  return JSON.stringify({ ok: exitOf(findings) === 0, findings: rows }, null, 2);
}

const marks: Readonly<Record<State, string>> = { ok: 'ok', warning: 'WARNING', failed: 'FAILED', skipped: 'skipped' };

/** A line for each finding, its remedy below it, and the sum. */
export function tableOf(findings: readonly Finding[]): readonly string[] {
  const rows = findings.map((one) => [marks[one.state], visibleLine(one.area), visibleLine(one.name)] as const);
  const widths = [0, 1, 2].map((column) => Math.max(0, ...rows.map((row) => row[column]?.length ?? 0)));
  const indent = ' '.repeat(widths.reduce((sum, width) => sum + width + 2, 0));
  const lines = findings.flatMap(({ sentence, remedy }, index) => {
    const start = (rows[index] ?? []).map((text, column) => `${text.padEnd(widths[column] ?? 0)}  `).join('');
    return [`${start}${visibleLine(sentence)}`, ...(remedy === null ? [] : [`${indent}-> ${visibleLine(remedy)}`])];
  });
  return [...lines, '', sumOf(findings)];
}

function sumOf(findings: readonly Finding[]): string {
  const count = (state: State): number => findings.filter((one) => one.state === state).length;
  const warnings = count('warning');
  return `${count('failed')} failed, ${warnings} warning${warnings === 1 ? '' : 's'}, ${count('skipped')} skipped, ${count('ok')} ok`;
}
