// Promises the lines of the log: their shape, what an error becomes, and that no secret passes (I7).

import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ControllerError } from '../../src/errors.ts';
import { createLog, type Log, type LogOptions } from '../../src/log.ts';

const secret = '0123456789abcdef0123456789abcdef01234567';

const valueOf = (index: number): string => `secret-value-${index}-end`;

function logged(
  level: LogOptions['level'],
  write: (log: Log) => void,
): { readonly text: string; readonly lines: readonly Record<string, unknown>[] } {
  const parts: string[] = [];
  write(createLog({ level, destination: { write: (line) => parts.push(line) } }));
  return { text: parts.join(''), lines: parts.map((line) => JSON.parse(line) as Record<string, unknown>) };
}

describe('the shape of a line', () => {
  test('a fact is one JSON line with level as a word, ISO time, event, facts and message', () => {
    const { text, lines } = logged('info', (log) => log.info('launch', { runner: 'j1', repository: 2, job: 3, handle: 'h' }, 'started'));
    expect(text.endsWith('}\n')).toBe(true);
    expect(text.trim().split('\n')).toHaveLength(1);
    expect(Object.keys(lines[0] ?? {})).toEqual(['level', 'time', 'event', 'runner', 'repository', 'job', 'handle', 'msg']);
    expect(lines[0]).toMatchObject({ level: 'info', event: 'launch', runner: 'j1', repository: 2, job: 3, handle: 'h', msg: 'started' });
    expect(lines[0]?.['time']).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  });

  test('levels below the configured one are not written', () => {
    const { lines } = logged('warn', (log) => {
      log.debug('poll');
      log.info('poll');
      log.warn('poll');
      log.error('poll');
    });
    expect(lines.map(({ level }) => level)).toEqual(['warn', 'error']);
  });

  test('for the journal each line begins with its syslog priority, whatever the level of the log, and is else the same', () => {
    const parts: string[] = [];
    const log = createLog({ level: 'debug', prioritised: true, destination: { write: (line) => parts.push(line) } });
    for (const level of ['debug', 'info', 'warn', 'error'] as const) log[level]('poll', { level: 'error', said: '\n<0>' }, '<1>\n<2>');
    log.setLevel('warn');
    log.info('poll');
    log.warn('poll');
    expect(parts.map((line) => [line.slice(0, 3), (JSON.parse(line.slice(3)) as { level: string }).level])).toEqual([
      ['<7>', 'debug'],
      ['<6>', 'info'],
      ['<4>', 'warn'],
      ['<3>', 'error'],
      ['<4>', 'warn'],
    ]);
    expect(parts.filter((line) => line.indexOf('\n') !== line.length - 1)).toEqual([]);
  });

  test('facts cannot take the place of the line its own fields', () => {
    const { lines } = logged('info', (log) => log.info('launch', { event: 'x', level: 'y', msg: 'z', time: 't' }, 'm'));
    expect(lines[0]).toMatchObject({ event: 'launch', level: 'info', msg: 'm', event_: 'x', level_: 'y', msg_: 'z', time_: 't' });
  });

  test('whatever a fact or a message holds, a line is one line that a terminal only prints, and a program reads all of it', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 100 }), fc.string({ unit: 'grapheme' }), (name, title) => {
        const { text, lines } = logged('info', (log) => log.info('deny', { name, labels: [title] }, `${title} ${name}`));
        expect(text.slice(0, -1)).not.toMatch(/[\p{Cc}\p{Zl}\p{Zp}\p{Cs}]|\p{Bidi_Control}/u);
        expect(lines).toMatchObject([{ name, labels: [title], msg: `${title} ${name}` }]);
      }),
      { numRuns: 2_000 },
    );
  });

  test('percent signs in a message and facts of every kind do no harm', () => {
    const circle: Record<string, unknown> = {};
    circle['self'] = circle;
    const facts = {
      circle,
      big: 1n,
      date: new Date(0),
      url: new URL('https://x/'),
      map: new Map([['a', 1]]),
      set: new Set([1]),
      bytes: Buffer.from('abc'),
      run: () => 1,
      none: undefined,
      nil: null,
      many: Array.from({ length: 200 }, () => 1),
      long: 'x'.repeat(10_000),
      '%s': '%d',
    };
    const { lines } = logged('info', (log) => log.info('launch', facts, '100%s %d %j'));
    expect(lines[0]).toMatchObject({
      big: '1',
      date: '1970-01-01T00:00:00.000Z',
      url: 'https://x/',
      map: { a: 1 },
      set: [1],
      msg: '100%s %d %j',
    });
    expect(lines[0]).toMatchObject({ circle: { self: '[circular]' }, bytes: '[3 bytes]', nil: null });
    expect(lines[0]?.['many']).toHaveLength(101);
    expect(String(lines[0]?.['long']).length).toBeLessThan(5_000);
  });
});

describe('errors', () => {
  const cause = Object.assign(new Error('connect refused'), { code: 'ECONNREFUSED' });
  const error = new ControllerError('FORGE_UNREACHABLE', 'The forge does not answer.', { cause, details: { status: 502 } });

  test('an error becomes code, message, details and its chain of causes, without a stack', () => {
    const { lines } = logged('info', (log) => log.error('forge-error', { error }));
    expect(lines[0]?.['error']).toEqual({
      code: 'FORGE_UNREACHABLE',
      message: 'The forge does not answer.',
      details: { status: 502 },
      cause: { code: 'ECONNREFUSED', message: 'connect refused' },
    });
  });

  test('stacks are written at level debug, and for a bug that is logged as an error', () => {
    expect(logged('debug', (log) => log.info('forge-error', { error })).text).toContain('log.test.ts');
    expect(logged('info', (log) => log.error('warning', { error: new TypeError('x') })).text).toContain('log.test.ts');
    expect(logged('info', (log) => log.warn('warning', { error: new TypeError('x') })).text).not.toContain('log.test.ts');
  });
});

describe('I7 no secret passes', () => {
  test('I7 what stands under a key that names a secret is masked, however deep', () => {
    const keys = ['token', 'access_token', 'accessToken', 'password', 'Authorization', 'client-secret', 'set-cookie', 'api_key'];
    const { text } = logged('info', (log) => {
      for (const key of keys) log.info('launch', { [key]: secret, a: [{ credentials: { id: 1, uuid: 'u', [key]: secret } }] });
      log.info('launch', { error: new ControllerError('DRIVER_FAILED', 'x', { details: { token: secret } }) });
    });
    expect(text).not.toContain(secret);
    expect(text).toContain('"uuid":"u"');
  });

  test('a path of a token file is not taken for a token', () => {
    expect(logged('info', (log) => log.info('start', { tokenFile: '/run/token' })).text).toContain('/run/token');
  });

  const awkward = 's3"c\\r/et+pa ss ü?';
  test.each([
    ['as it is', (value: string) => value],
    ['URL-encoded', encodeURIComponent],
    ['URL-encoded in lower case', (value: string) => encodeURIComponent(value).toLowerCase()],
    ['inside JSON', (value: string) => JSON.stringify({ a: value })],
    ['in base64', (value: string) => Buffer.from(value).toString('base64')],
    ['in base64url', (value: string) => Buffer.from(value).toString('base64url')],
    ['in base64 behind one character', (value: string) => Buffer.from(`:${value}`).toString('base64')],
    ['in base64 behind a user name', (value: string) => Buffer.from(`user1:${value}:x`).toString('base64')],
  ])('I7 a concealed value is masked %s, in facts, keys, messages and errors', (_, encode) => {
    for (const value of [secret, awkward.toLowerCase()]) {
      const shown = encode(value);
      const { text } = logged('debug', (log) => {
        log.conceal(value);
        log.info('launch', { a: `pre ${shown} post`, [`k${shown}`]: { b: [shown + shown] } }, `said ${shown}`);
        log.error('warning', { error: new Error(`no ${shown}`, { cause: new AggregateError([new Error(shown)]) }) });
      });
      // The characters at the seams of base64 also belong to the neighbours; all others must be gone.
      expect(text).not.toContain(JSON.stringify(shown).slice(5, -5));
      expect(text).not.toContain(value.slice(2, -2));
      expect(text.match(/\[secret\]/g)?.length).toBeGreaterThanOrEqual(5);
    }
  });

  test('I7 an Authorization header and a password in a URL are masked even if nobody concealed them', () => {
    const { text } = logged('info', (log) => log.warn('http', { a: `Authorization: token ${secret}`, b: `https://user:${secret}@host/x` }));
    expect(text).not.toContain(secret);
    expect(text).toContain('@host/x');
  });

  test('I7 a secret is not cut in half by the limit on long texts', () => {
    const { text } = logged('info', (log) => {
      log.conceal(secret);
      log.info('launch', { a: `${'x'.repeat(4_080)}${secret}` });
    });
    expect(text).not.toContain(secret.slice(0, 12));
  });

  test('I7 of many concealed values the newest 4096 are remembered', () => {
    const { text } = logged('info', (log) => {
      for (let index = 0; index < 5_000; index += 1) log.conceal(valueOf(index));
      log.conceal(valueOf(1_000)); // said again: as new
      log.info('launch', { first: valueOf(0), again: valueOf(1_000), last: valueOf(4_999) });
    });
    expect(text.split('\n')[0]).toContain(`"first":"${valueOf(0)}","again":"[secret]","last":"[secret]"`);
  });

  test('a text of fewer than 4 characters is not concealed, for it would mask half the log', () => {
    const { lines } = logged('info', (log) => {
      log.conceal('');
      log.conceal('a');
      log.info('launch', { a: 'banana' });
    });
    expect(lines[0]).toMatchObject({ a: 'banana' });
  });
});
