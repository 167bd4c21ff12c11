// Promises all mutations that `npm run mutate` tries.

import { adapterTargets } from './adapters.ts';
import { coreTargets } from './core.ts';
import { loopTargets } from './loop.ts';
import type { Target } from './mutation.ts';

export const targets: readonly Target[] = [...coreTargets, ...loopTargets, ...adapterTargets];
