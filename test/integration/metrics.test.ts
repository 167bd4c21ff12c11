// Promises /metrics over a real socket, and that the real promtool and a real Prometheus take it, the alert rules and the dashboard.

import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest';
import type { Snapshot } from '../../src/core/snapshot.ts';
import { serveHttp } from '../../src/http/app.ts';
import { createMetrics, type Metrics } from '../../src/metrics/metrics.ts';
import { anApi, reconcilingOf } from '../support/api.ts';
import { aFact, linesOf } from '../support/metrics.ts';
import { promtool, prometheusFolder, startPrometheus } from '../support/prometheus.ts';
import { busy, fixedClock, quiet } from '../support/snapshot-fixture.ts';

const fetchMs = 180_000;
const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');

type Service = { readonly url: string; readonly metrics: Metrics };

/** The API with metrics; the picture is asked for at each request. */
async function aService(snapshot: () => Snapshot = () => busy): Promise<Service> {
  const metrics = createMetrics({ now: () => 0, perRepository: true });
  const metering = {
    render: () => metrics.render(snapshot(), fixedClock),
    requestAnswered: (route: string, status: number) => metrics.requestAnswered(route, status),
  };
  const app = anApi({ reconciler: reconcilingOf(snapshot), metering });
  const serving = await serveHttp({ app, host: '127.0.0.1', port: 0 });
  onTestFinished(() => serving.close());
  return { url: serving.url, metrics };
}

const textAt = async (url: string): Promise<string> => (await fetch(`${url}/metrics`)).text();

/** One fact of every kind, so that every metric there is has a line. */
function feed(metrics: Metrics): void {
  for (const event of ['deny', 'launch', 'assign', 'picked', 'report', 'sweep', 'retry', 'finalize'] as const) metrics.take(aFact(event));
  metrics.forgeAnswered('forge', 'list-jobs', 200);
}

/** The names of all metrics. */
async function metricsThere(): Promise<readonly string[]> {
  const { url, metrics } = await aService();
  feed(metrics);
  return [...(await textAt(url)).matchAll(/^# TYPE (\w+) /gm)].map(([, name]) => name ?? '');
}

describe('GET /metrics', () => {
  test('is answered as the text format of Prometheus, to GET and HEAD alone and to loopback names alone', async () => {
    const { url } = await aService();
    const response = await fetch(`${url}/metrics`);
    expect([response.status, response.headers.get('content-type')]).toEqual([200, 'text/plain; version=0.0.4; charset=utf-8']);
    expect(response.headers.get('cache-control')).toBe('no-store');
    expect(await response.text()).toContain('forgejo_runner_controller_slots{state="total"} 7\n');
    expect(await (await fetch(`${url}/metrics`, { method: 'HEAD' })).text()).toBe('');
    const posted = await fetch(`${url}/metrics`, { method: 'POST' });
    expect([posted.status, posted.headers.get('allow')]).toEqual([405, 'GET, HEAD']);
    expect((await anApi({ metering: { render: vi.fn(), requestAnswered: vi.fn() } }).request('http://evil.test/metrics')).status).toBe(421);
  });

  test('counts what the API answers by the pattern of the route, whatever paths are asked for', async () => {
    const { url } = await aService();
    for (const path of ['/status', '/status?x=1', '/health', '/api/v1/explain', '/nothing/1', '/nothing/2', '/%2e%2e', '/metrics'])
      await (await fetch(url + path)).text();
    await (await fetch(`${url}/status`, { method: 'POST' })).text();
    const lines = linesOf(await textAt(url), 'http_requests_total').map((line) => line.replace('http_requests_total', ''));
    expect(lines).toEqual(
      expect.arrayContaining([
        '{route="/status",code="200"} 2',
        '{route="/status",code="405"} 1',
        '{route="/metrics",code="200"} 1',
        '{route="/api/v1/explain",code="400"} 1',
        '{route="other",code="404"} 3',
      ]),
    );
    expect(lines).toHaveLength(6);
  });

  test('is not there where nobody measures', async () => {
    expect((await anApi().request('/metrics')).status).toBe(404);
  });
});

describe('Prometheus', () => {
  let folder = '';
  beforeAll(async () => {
    folder = await prometheusFolder();
  }, fetchMs);

  test('finds no fault with the text: promtool check metrics', async () => {
    const { url, metrics } = await aService();
    feed(metrics);
    await textAt(url);
    expect(await promtool(folder, ['check', 'metrics'], await textAt(url))).toMatchObject({ code: 0, output: '' });
  });

  test('takes the alert rules, and each fires when it must and not before: promtool check rules, test rules', async () => {
    expect(await promtool(folder, ['check', 'rules', 'docs/prometheus/alerts.yaml'])).toMatchObject({ code: 0 });
    const tested = await promtool(folder, ['test', 'rules', 'docs/prometheus/alerts.test.yaml']);
    expect([tested.code, tested.output]).toEqual([0, expect.stringContaining('SUCCESS')]);
    const names = [...read('docs/prometheus/alerts.yaml').matchAll(/- alert: (\w+)/g)].map(([, name]) => name ?? '');
    const firing = [...read('docs/prometheus/alerts.test.yaml').matchAll(/- alertname: (\w+)\n/g)].map(([, name]) => name ?? '');
    expect([...new Set(firing)].toSorted()).toEqual(names.toSorted());
  });

  test('scrapes the service, and an alert of the rules fires when something is left over', async () => {
    let snapshot = quiet;
    const { url } = await aService(() => snapshot);
    const config = `global: { scrape_interval: 100ms, evaluation_interval: 100ms }
rule_files: [alerts.yaml]
scrape_configs:
  - { job_name: forgejo-runner-controller, static_configs: [{ targets: ["${new URL(url).host}"] }] }\n`;
    // The same rules without their patience.
    const rules = read('docs/prometheus/alerts.yaml').replaceAll(/^( +for:) \w+$/gm, '$1 0s');
    const prometheus = await startPrometheus(folder, config, { 'alerts.yaml': rules });
    const ask = async (path: string): Promise<unknown> => (await fetch(prometheus + path)).json();
    const slots = '/api/v1/query?query=forgejo_runner_controller_slots%7Bstate%3D%22total%22%7D';
    await expect.poll(() => ask(slots), { timeout: 10_000 }).toMatchObject({ data: { result: [{ value: [expect.anything(), '7'] }] } });
    await expect.poll(() => ask('/api/v1/alerts'), { timeout: 10_000 }).toMatchObject({ data: { alerts: [] } });
    snapshot = { ...quiet, leftovers: busy.leftovers };
    await expect
      .poll(() => ask('/api/v1/alerts'), { timeout: 10_000 })
      .toMatchObject({ data: { alerts: [{ state: 'firing', labels: { alertname: 'RunnerLeftovers', severity: 'warning' } }] } });
  });
});

describe('what is shipped', () => {
  const ours = /\b(?:forgejo_runner_controller|process|nodejs)_\w+/g;
  const metricsIn = (text: string): readonly string[] => [
    ...new Set([...text.matchAll(ours)].map(([name]) => name.replace(/_(?:bucket|sum|count)$/, ''))),
  ];

  test('the alert rules and their tests speak of metrics that there are, and of sections of the runbook', async () => {
    const there = await metricsThere();
    for (const path of ['docs/prometheus/alerts.yaml', 'docs/prometheus/alerts.test.yaml'])
      expect(metricsIn(read(path)).filter((name) => !there.includes(name))).toEqual([]);
    const sections = [...read('docs/prometheus/alerts.yaml').matchAll(/runbook: docs\/OPERATIONS\.md, "(.+)"/g)].map(([, name]) => name);
    expect(sections).toHaveLength([...read('docs/prometheus/alerts.yaml').matchAll(/- alert:/g)].length);
    expect(sections.filter((name) => !read('docs/OPERATIONS.md').includes(`\n## ${name}\n`))).toEqual([]);
  });

  test('the dashboard asks for metrics that there are, and shows all of them', async () => {
    const asked = metricsIn(read('docs/grafana/dashboard.json'));
    expect(asked.toSorted()).toEqual((await metricsThere()).toSorted());
  });

  test('the dashboard can be imported anywhere: it names no data source but its variable, and no panel lies on another', () => {
    const dashboard = JSON.parse(read('docs/grafana/dashboard.json')) as {
      readonly templating: { readonly list: readonly { readonly name: string; readonly type: string }[] };
      readonly panels: readonly {
        readonly id: number;
        readonly type: string;
        readonly datasource?: { readonly uid: string };
        readonly targets?: readonly { readonly expr: string; readonly datasource: { readonly uid: string } }[];
        readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
      }[];
    };
    expect(dashboard.templating.list[0]).toMatchObject({ name: 'datasource', type: 'datasource' });
    const { panels } = dashboard;
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
    const uids = panels.flatMap(({ datasource, targets = [] }) => [datasource?.uid, ...targets.map((target) => target.datasource.uid)]);
    expect([...new Set(uids)].filter((uid) => uid !== undefined)).toEqual(['${datasource}']);
    const cells = panels.flatMap(({ gridPos: { x, y, w, h } }) =>
      Array.from({ length: w * h }, (_, at) => `${x + (at % w)} ${y + Math.floor(at / w)}`),
    );
    expect(new Set(cells).size).toBe(cells.length);
    expect(Math.max(...panels.map(({ gridPos: { x, w } }) => x + w))).toBe(24);
  });

  test('the documentation of the metrics names each of them once', async () => {
    const rows = read('docs/OPERATIONS.md').split('\n## Metrics and alerts\n')[1]?.split('\n## ')[0] ?? '';
    const named = [...rows.matchAll(/^\| (`.+?`) \|/gm)].flatMap(([, cell = '']) =>
      [...cell.matchAll(/`(\w+)`/g)].map(([, name]) => name ?? ''),
    );
    const short = (await metricsThere()).map((name) => name.replace('forgejo_runner_controller_', ''));
    expect(named.toSorted()).toEqual(short.toSorted());
  });
});
