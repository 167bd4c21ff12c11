// Promises one smoke test for people and for automation: asks a service everything that it promises to answer, prints a line for each and
// the sum, and ends with 0 only if all is as promised. Without a URL it looks at one of its own (test/smoke/stage.ts), as any user.

import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { smoke } from '../test/smoke/checks.ts';
import { openStage } from '../test/smoke/stage.ts';

const { values } = parseArgs({ options: { url: { type: 'string' }, 'token-file': { type: 'string' } } });
const given = values.url ?? (process.env['FORGEJO_RUNNER_CONTROLLER_URL'] || undefined);
const file = values['token-file'];
const token = file === undefined ? undefined : readFileSync(file, 'utf8').trim();

const stage = given === undefined ? await openStage() : undefined;
const url = given ?? stage?.url ?? '';
process.stdout.write(`smoke: ${given === undefined ? 'a service of its own, with machines in memory alone' : url}\n`);
try {
  const checked = await smoke({ url, token });
  for (const { name, ok, said } of checked) process.stdout.write(`${ok ? 'ok    ' : 'FAILED'}  ${name}: ${said}\n`);
  const failed = checked.filter(({ ok }) => !ok).length;
  process.stdout.write(`${checked.length - failed} passed, ${failed} failed\n`);
  process.exitCode = failed === 0 ? 0 : 1;
} finally {
  await stage?.close();
}
