// Promises a way between the demo's throw-away host and the machine around it, until it is killed: everything asked of LISTEN is asked of
// TARGET. Says on stdout which port it listens on.
//
//   node scripts/demo-relay.ts LISTEN TARGET      a Unix socket or a host; a Unix socket or a URL

import { openRelay } from '../test/demo/relay.ts';

const [, , listen = '', target = ''] = process.argv;
const isPath = (text: string): boolean => text.startsWith('/');
const { port } = await openRelay(
  isPath(listen) ? { path: listen } : { host: listen },
  isPath(target) ? { socketPath: target } : new URL(target),
);
process.stdout.write(`${port}\n`);
