// Promises all mutations that `npm run mutate` tries.

import { coreTargets } from './core.ts';
import type { Target } from './mutation.ts';

export const targets: readonly Target[] = [...coreTargets];
