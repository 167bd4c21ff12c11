// Promises the stand-in as a program: it prints one JSON line {url, control, admin, token} once it listens, and ends with 0 on SIGTERM or
// SIGINT. Flags: --host, --port, --root-url, --admin, --token, --listing-delay-ms, --zombie-timeout-ms.

import { parseArgs } from 'node:util';
import { startForgejo, type ForgejoOptions } from './forgejo.ts';

const { values } = parseArgs({
  options: {
    host: { type: 'string' },
    port: { type: 'string' },
    'root-url': { type: 'string' },
    admin: { type: 'string' },
    token: { type: 'string' },
    'listing-delay-ms': { type: 'string' },
    'zombie-timeout-ms': { type: 'string' },
  },
});

const numbers = { port: values.port, listingDelayMs: values['listing-delay-ms'], zombieTimeoutMs: values['zombie-timeout-ms'] };
const texts = { host: values.host, rootUrl: values['root-url'], admin: values.admin, token: values.token };
const given = Object.entries({ ...texts, ...numbers }).filter(([, value]) => value !== undefined);
const options = given.map(([name, value]) => [name, name in numbers ? Number(value) : value] as const);

const forgejo = await startForgejo(Object.fromEntries(options) as ForgejoOptions);
const { url, controlUrl, admin, token } = forgejo;
process.stdout.write(`${JSON.stringify({ url, control: controlUrl, admin, token })}\n`);
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => void forgejo.close());
