// Promises what the jobs of each repository used, by the repository's number, for a bounded number of repositories: the first ones that end a
// job have series of their own, all others share one. What a job leaves unsaid is not counted.

import type { Registry } from 'prom-client';
import type { Fact } from '../events.ts';
import { counterOf, gaugeOf } from './named.ts';
import { secondsOf, wordOf } from './said.ts';

/** How many have series of their own. */
const kept = 100;
const labels = ['forge', 'repository'] as const;

export type RepositoryCounts = { take(fact: Fact): void };

export function createRepositoryCounts(registry: Registry): RepositoryCounts {
  const known = new Set<string>();
  const peaks = new Map<string, number>();
  // Made when first needed: who does not want them has no trace of them.
  let meters: ReturnType<typeof createMeters> | undefined;

  function placeOf({ facts }: Fact): { readonly forge: string; readonly repository: string } {
    const place = { forge: wordOf(facts['forge']), repository: typeof facts['repository'] === 'number' ? String(facts['repository']) : '' };
    const key = JSON.stringify(place);
    if (!known.has(key) && known.size >= kept) return { forge: 'other', repository: 'other' };
    known.add(key);
    return place;
  }

  return {
    take(fact) {
      const jobless = fact.facts['dispatched'] === true && fact.facts['job'] === undefined;
      if (fact.event !== 'finalize' || jobless) return;
      meters ??= createMeters(registry);
      const place = placeOf(fact);
      const used = usedOf(fact);
      meters.jobs.inc(place);
      meters.wall.inc(place, used.wall);
      meters.cpu.inc(place, used.cpu);
      const key = JSON.stringify(place);
      const peak = Math.max(used.memory, peaks.get(key) ?? 0);
      peaks.set(key, peak);
      meters.memory.set(place, peak);
    },
  };
}

function createMeters(registry: Registry) {
  return {
    jobs: counterOf({ registry, name: 'repository_runners_total', help: 'Runners that ended, by repository.', labels }),
    wall: counterOf({ registry, name: 'repository_job_seconds_total', help: 'Time that jobs ran, by repository.', labels }),
    cpu: counterOf({ registry, name: 'repository_cpu_seconds_total', help: 'Processor time that machines used, by repository.', labels }),
    memory: gaugeOf({
      registry,
      name: 'repository_memory_peak_bytes',
      help: 'The most memory that one machine held at once since the start, by repository.',
      labels,
    }),
  };
}

function usedOf(fact: Fact): { readonly wall: number; readonly cpu: number; readonly memory: number } {
  const exit = fact.facts['exit'];
  const sizeOf = (name: string): number => {
    const value: unknown = typeof exit === 'object' && exit !== null ? Reflect.get(exit, name) : undefined;
    return typeof value === 'number' && Number.isFinite(value) && value > 0 ? value : 0;
  };
  return { wall: secondsOf(fact, 'ranMs') ?? 0, cpu: sizeOf('cpuMs') / 1000, memory: sizeOf('memoryPeakBytes') };
}
