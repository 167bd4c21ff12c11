// Promises counts of what was asked and answered: of the forges by us, of our API by others. What the other side chooses is put into classes.

import type { Registry } from 'prom-client';
import type { ForgeName } from '../core/model.ts';
import { counterOf } from './named.ts';

export type Counts = {
  forgeAnswered(forge: ForgeName, operation: string, status: number | undefined): void;
  requestAnswered(route: string, status: number): void;
};

const common = new Set([200, 201, 204, 301, 302, 307, 308, 400, 401, 403, 404, 405, 409, 413, 421, 422, 429, 500, 502, 503, 504]);

export function createCounts(registry: Registry): Counts {
  const asked = counterOf({
    registry,
    name: 'forge_requests_total',
    help: 'Questions put to a forge, every try, by what for and by the status of the answer (none: there was no whole answer).',
    labels: ['forge', 'operation', 'code'],
  });
  const answered = counterOf({
    registry,
    name: 'http_requests_total',
    help: 'Requests that the API answered, by the pattern of the route (other: there is none) and by status.',
    labels: ['route', 'code'],
  });
  return {
    forgeAnswered: (forge, operation, status) => asked.inc({ forge, operation, code: codeOf(status) }),
    requestAnswered: (route, status) => answered.inc({ route, code: codeOf(status) }),
  };
}

/** A server may answer any number: those that mean something by themselves, and classes for the rest. */
function codeOf(status: number | undefined): string {
  if (status === undefined) return 'none';
  return common.has(status) ? String(status) : `${Math.floor(status / 100) % 10}xx`;
}
