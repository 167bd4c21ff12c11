// Where traces are sent: nowhere unless somebody says so, by file or by OpenTelemetry's own variable, and never with a secret in the Config.

import { describe, expect, test } from 'vitest';
import { liveOf, renderConfig } from '../../src/config/config.ts';
import { basicYaml, load, refusal } from '../support/config-fixture.ts';

const header = 'authorization: Bearer 0123456789abcdef-very-secret';
const written = `${basicYaml}telemetry: {endpoint: "https://otlp.example.org/base/", headersFile: /run/otlp}\n`;
const files = { '/run/otlp': `# the collector's\n${header}\n` };

describe('telemetry', () => {
  test('nothing is sent anywhere unless an endpoint is set', async () => {
    expect((await load({ yaml: basicYaml })).telemetry).toBeUndefined();
    expect(renderConfig(await load({ yaml: basicYaml }))).not.toContain('telemetry');
  });
  test('the file names endpoint and headers, and no header enters the configuration (I7)', async () => {
    const config = await load({ yaml: written, files });
    expect(config.telemetry).toEqual({ endpoint: 'https://otlp.example.org/base', headersFile: '/run/otlp' });
    expect(JSON.stringify(config) + renderConfig(config)).not.toContain('very-secret');
    expect((await load({ yaml: renderConfig(config), files })).telemetry).toEqual(config.telemetry);
  });
  test('the standard variable wins over the file, and another one turns it off', async () => {
    const env = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:4318' };
    expect((await load({ yaml: written, files, env })).telemetry?.endpoint).toBe('http://127.0.0.1:4318');
    expect((await load({ yaml: basicYaml, env })).telemetry).toEqual({ endpoint: 'http://127.0.0.1:4318' });
    expect((await load({ yaml: written, files, env: { OTEL_SDK_DISABLED: 'true' } })).telemetry).toBeUndefined();
  });
  test.each([
    ['telemetry: {endpoint: "ftp://otlp.example.org"}', 'telemetry.endpoint'],
    ['telemetry: {endpoint: "https://user:pass@otlp.example.org"}', 'telemetry.endpoint'],
    ['telemetry: {headersFile: /run/otlp}', 'telemetry.endpoint'],
    ['telemetry: {endpoint: "https://otlp.example.org", headersFile: /run/absent}', 'telemetry.headersFile'],
    ['telemetry: {endpoint: "https://otlp.example.org", headersFile: /run/token}', 'telemetry.headersFile'],
    ['telemetry: {endpoint: "https://otlp.example.org", headers: "a: b"}', 'telemetry.headers'],
  ])('%s is refused', async (line, path) => {
    const { mistakes, all } = await refusal({ yaml: `${basicYaml}${line}\n`, files });
    expect(mistakes.map((mistake) => mistake.path)).toEqual([path]);
    expect(all).not.toMatch(/very-secret|user:pass|0123456789abcdef0123456789abcdef01234567/);
  });
  test('headers that travel in the clear, and a file that others may read, are warned of', async () => {
    const yaml = written.replace('https://otlp', 'http://otlp');
    const { warnings } = await load({ yaml, files: { '/run/otlp': { text: header, mode: 0o644 } } });
    expect(warnings.filter((warning) => warning.includes('telemetry'))).toEqual([
      'telemetry.headersFile: others may use /run/otlp; set its mode to 0600',
      'telemetry.endpoint: is http, and not on this host: whoever listens on the way reads the headers of headersFile',
    ]);
  });
  test('no profile may show its file to jobs (I7)', async () => {
    const profiles = 'profiles: [{name: default, labels: [debian], binds: ["/run/otlp:/x:ro"]}]\n';
    expect((await refusal({ yaml: written + profiles, files })).all).toContain('which holds secrets of this service');
  });
  test('a running service keeps what it began with, and says that a change waits for its next start', async () => {
    const [before, after] = [await load({ yaml: basicYaml }), await load({ yaml: written, files })];
    expect(liveOf(before, after).waiting.map(({ path }) => path)).toEqual(['telemetry']);
    expect(liveOf(before, after).config.telemetry).toBeUndefined();
    expect(liveOf(after, before).config.telemetry).toEqual(after.telemetry);
  });
});
