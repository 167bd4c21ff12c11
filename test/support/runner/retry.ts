// The schedule of the final report: ten tries, 100 ms doubling, up to 100 ms of jitter before each further try (51.1 to 52 s in all).
// Gives up with the list of what went wrong; never with silence.

import { messageOf } from './failure.ts';

export type RetryPolicy = { readonly maxRetries: number; readonly initialDelayMs: number; readonly maxDelayMs: number };

export const defaultRetryPolicy: RetryPolicy = { maxRetries: 10, initialDelayMs: 100, maxDelayMs: 0 };
const retryJitterMs = 100;

/** The waits between the tries, without jitter; one less than there are tries. A maxDelayMs of 0 means no cap. */
export function retryDelaysMs(policy: RetryPolicy): readonly number[] {
  const cap = policy.maxDelayMs > 0 ? policy.maxDelayMs : Infinity;
  return Array.from({ length: Math.max(0, policy.maxRetries - 1) }, (_, n) => Math.min(cap, policy.initialDelayMs * 2 ** n));
}

/** Runs `attempt` until it succeeds or the schedule ends; answers undefined, or the sentence that sums up all failures. */
export async function retry(
  policy: RetryPolicy,
  attempt: () => Promise<void>,
  sleep: (ms: number) => Promise<void>,
  random: () => number,
): Promise<string | undefined> {
  const errors: string[] = [];
  const delays = [...retryDelaysMs(policy), undefined];
  for (const [index, delay] of delays.entries()) {
    try {
      await attempt();
      return undefined;
    } catch (error) {
      errors.push(`#${index + 1}: ${messageOf(error)}`);
    }
    if (delay !== undefined) await sleep(delay + random() * retryJitterMs);
  }
  return `All attempts fail:\n${errors.join('\n')}`;
}
