// Promises what the command line of the product says of the demo's service, as a person would type it, and whether each command ended well.

import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

/** Each is a question that the demo leaves: is it well, what became of the jobs, and why would one never run. */
const questions: readonly (readonly string[])[] = [[], ['jobs'], ['explain', '--labels', 'ubuntu-latest,gpu']];

export type Told = { readonly asked: string; readonly text: string; readonly well: boolean };

/** `program` is runner-status, built or as source. */
export function tablesOf(program: string, url: string): Promise<readonly Told[]> {
  return Promise.all(questions.map((words) => tableOf(program, [...words, '--url', url])));
}

async function tableOf(program: string, words: readonly string[]): Promise<Told> {
  const asked = ['runner-status', ...words].join(' ');
  try {
    const { stdout } = await promisify(execFile)(process.execPath, [program, ...words], { timeout: 30_000 });
    return { asked, text: stdout.trimEnd(), well: true };
  } catch (error) {
    // What it printed all the same, and why it did not end well.
    const { stdout = '', stderr = String(error) } =
      error instanceof Error && 'stdout' in error ? (error as { stdout?: string; stderr?: string }) : {};
    return { asked, text: `${stdout}${stderr}`.trimEnd(), well: false };
  }
}
