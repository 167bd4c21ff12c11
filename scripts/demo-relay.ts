// Promises a real Forgejo to a host that cannot reach it: everything asked of the Unix socket is asked of the URL, until it is killed.
//
//   node scripts/demo-relay.ts SOCKET URL

import { openRelay } from '../test/demo/relay.ts';

const [, , path = '', url = ''] = process.argv;
await openRelay({ path }, new URL(url));
