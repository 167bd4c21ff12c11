// Promises that every answer of /api/v1 can be described to others: its schema has a JSON schema without holes.

import { expect, test } from 'vitest';
import * as z from 'zod';
import * as wire from '../../src/http/wire-v1.ts';

test.each(Object.entries(wire))('%s has a JSON schema in which nothing is left open but the facts of an event', (name, schema) => {
  const text = JSON.stringify(z.toJSONSchema(schema));
  expect(text.match(/\{\}/g) ?? []).toHaveLength(name === 'eventSchema' ? 1 : 0);
});
