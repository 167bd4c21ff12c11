// Promises the answer to "is it well": fresh, or stale with the reasons as sentences. Pure: picture, settings and time in, verdict out.

import type { ForgeView, Snapshot } from '../core/snapshot.ts';
import type { ApiSettings } from './status.ts';
import type { Health } from './wire.ts';

const leastMs = 30_000;

/** How old a picture may be before it counts as stale: ten intervals, and never less than 30 s. */
function freshnessLimitMs(pollIntervalMs: number): number {
  return Math.max(leastMs, 10 * pollIntervalMs);
}

/** `stale` needs a reason; right after the start, what has not been seen yet is no reason. */
export function healthOf(snapshot: Snapshot, settings: ApiSettings, now: number): Health {
  const tickLimit = freshnessLimitMs(settings.pollIntervalMs);
  const reasons = snapshot.forges.map((forge) => forgeReason(forge, snapshot, settings, now)).filter((reason) => reason !== undefined);
  const tickAge = now - (snapshot.tickAt ?? snapshot.startedAt);
  if (tickAge > tickLimit)
    reasons.push(
      snapshot.tickAt === undefined
        ? `the first look at the world has not ended for ${seconds(tickAge)}`
        : `the last look at the world was ${seconds(tickAge)} ago; at most ${seconds(tickLimit)} are right`,
    );
  const { error, full } = snapshot.host;
  if (full !== undefined) reasons.push(full);
  if (error !== undefined) reasons.push(`the host cannot be read since ${seconds(now - error.since)}: ${error.message} (${error.code})`);
  return {
    status: reasons.length === 0 ? 'ok' : 'stale',
    starting:
      reasons.length === 0 && (snapshot.tickAt === undefined || snapshot.forges.some(({ lastGoodPollAt }) => lastGoodPollAt === undefined)),
    draining: snapshot.draining,
    version: snapshot.version,
    controller_id: snapshot.controllerId,
    reasons,
  };
}

function forgeReason(forge: ForgeView, snapshot: Snapshot, settings: ApiSettings, now: number): string | undefined {
  const own = settings.forges.find(({ name }) => name === forge.name);
  const interval = Math.max(own?.pollIntervalMs ?? settings.pollIntervalMs, own?.webhook?.pollIntervalMs ?? 0);
  // A slow forge is polled at twenty times its reply time, so it may be quiet for longer than its interval says.
  // One that is asked to be safe alone has missed something when it has missed that.
  const usual = forge.unpolled === true ? 2 * interval : freshnessLimitMs(interval);
  const limit = Math.max(usual, 60 * (forge.lastPollMs ?? 0));
  const age = now - (forge.lastGoodPollAt ?? snapshot.startedAt);
  if (age <= limit) return undefined;
  const why = forge.error === undefined ? '' : `: ${forge.error.message} (${forge.error.code})`;
  const told =
    forge.lastGoodPollAt === undefined
      ? `has not answered since the start ${seconds(age)} ago`
      : `was last polled well ${seconds(age)} ago`;
  return `forge ${forge.name} ${told}; at most ${seconds(limit)} are right${why}`;
}

function seconds(ms: number): string {
  return `${Math.max(0, Math.floor(ms / 1000))} s`;
}
