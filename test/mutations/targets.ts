// Promises all mutations that `npm run mutate` tries.

import { actTargets } from './acts.ts';
import { adapterTargets } from './adapters.ts';
import { cacheTargets } from './caches.ts';
import { cliTargets } from './cli.ts';
import { archiveTargets } from './archive.ts';
import { containerTargets } from './containers.ts';
import { coreTargets } from './core.ts';
import { dispatchTargets } from './dispatch.ts';
import { loopTargets } from './loop.ts';
import { metricsTargets } from './metrics.ts';
import type { Target } from './mutation.ts';
import { packageTargets } from './packages.ts';
import { nixTargets } from './nix.ts';
import { pageTargets } from './page.ts';
import { statusTargets } from './statuses.ts';
import { stepTargets } from './steps.ts';
import { templateTargets } from './templates.ts';
import { tracesTargets } from './traces.ts';
import { webhookTargets } from './webhooks.ts';

export const targets: readonly Target[] = [
  ...coreTargets,
  ...stepTargets,
  ...actTargets,
  ...loopTargets,
  ...adapterTargets,
  ...containerTargets,
  ...metricsTargets,
  ...cliTargets,
  ...archiveTargets,
  ...packageTargets,
  ...pageTargets,
  ...templateTargets,
  ...tracesTargets,
  ...webhookTargets,
  ...nixTargets,
  ...statusTargets,
  ...dispatchTargets,
  ...cacheTargets,
];
