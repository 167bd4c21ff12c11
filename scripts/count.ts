// Promises an honest count of a vitest run: reads its JSON report and prints `passed failed skipped`. A file that could not be loaded, a
// report that is missing and a run that ended badly without a failed test each count as one failure.
//
//   node scripts/count.ts REPORT EXIT_CODE

import { readFileSync } from 'node:fs';

type Report = {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly numPendingTests: number;
  readonly numTodoTests: number;
  readonly testResults: readonly { readonly status: string; readonly assertionResults: readonly { readonly status: string }[] }[];
};

function read(path: string): Report | undefined {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as Report;
  } catch {
    return undefined;
  }
}

const [, , path = '', exitCode = '1'] = process.argv;
const report = read(path);
if (report === undefined) {
  process.stdout.write('0 1 0\n');
} else {
  const unloaded = report.testResults.filter(
    (file) => file.status === 'failed' && !file.assertionResults.some((one) => one.status === 'failed'),
  ).length;
  const seen = report.numFailedTests + unloaded;
  const failed = seen === 0 && exitCode !== '0' ? 1 : seen;
  process.stdout.write(`${report.numPassedTests} ${failed} ${report.numPendingTests + report.numTodoTests}\n`);
}
