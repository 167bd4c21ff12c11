// Promises a forge with TLS: its certificate must be signed by somebody who is trusted, Node's authorities or those of `caFile`, and be made out
// to the name that is asked. Over real sockets, with certificates that each test makes.

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { loadConfig } from '../../src/config/config.ts';
import type { Forge } from '../../src/forge/forge.ts';
import { createForgejo } from '../../src/forge/forgejo.ts';
import { createLog } from '../../src/log.ts';
import { createAuthority, startTls, type Authority } from '../support/certificates.ts';
import { startForgejo, type ForgejoStandIn } from '../support/forgejo/forgejo.ts';
import { refusalFrom } from '../support/forgejo-under-test.ts';

let folder: string;
let standIn: ForgejoStandIn;
let authority: Authority;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'frc-tls-'));
  standIn = await startForgejo();
  await standIn.control.addRepository({ repository: 'root1/demo' });
  authority = createAuthority('authority of this house');
});
afterEach(async () => {
  await standIn.close();
  await rm(folder, { recursive: true });
});

/** The stand-in behind TLS with a certificate for these names, as the configuration with that `caFile` asks it. */
async function behindTls(names: readonly string[], trusted: Authority | undefined): Promise<Forge> {
  const tls = await startTls(authority.issue(names), Number(new URL(standIn.url).port));
  onTestFinished(() => tls.close());
  const file = join(folder, 'config.yaml');
  await writeFile(join(folder, 'token'), standIn.token, { mode: 0o600 });
  const caFile = trusted === undefined ? '' : `, caFile: ${join(folder, 'ca.pem')}`;
  if (trusted !== undefined) await writeFile(join(folder, 'ca.pem'), `of this house:\n${trusted.certificate}`);
  const entry = `{url: "https://127.0.0.1:${tls.port}", scope: {user: true}, tokenFile: ${join(folder, 'token')}${caFile}}`;
  await writeFile(file, `forges: [${entry}]\n`, { mode: 0o600 });
  const { forges } = await loadConfig({ env: {}, file });
  const [forge] = forges;
  if (forge === undefined) throw new Error('no forge was read');
  const made = createForgejo({ ...forge, clock: systemClock, log: createLog({ level: 'error' }) });
  onTestFinished(() => made.close());
  return made;
}

describe('a forge with TLS', () => {
  test('is asked where the authority in caFile signed its certificate', async () => {
    const forge = await behindTls(['forge.example.org', '127.0.0.1'], authority);
    expect((await forge.check()).major).toBeGreaterThanOrEqual(15);
    await standIn.control.queueJob({ repository: 'root1/demo', labels: ['x'] });
    expect(await forge.jobs()).toHaveLength(1);
  });

  test.each([
    ['without caFile', undefined, /UNABLE_TO_VERIFY_LEAF_SIGNATURE\); name as caFile of this forge a file with the certificate/],
    ['with that of another authority', createAuthority('another'), /; put into caFile the certificate of whoever signed its own/],
    ['with one of the same name and another key', createAuthority('authority of this house'), /SIGNATURE.*; put into caFile/],
  ])('is refused %s, with the remedy', async (_what, trusted, sentence) => {
    const forge = await behindTls(['127.0.0.1'], trusted);
    const refusal = await refusalFrom(forge.jobs());
    expect(refusal).toMatchObject({ code: 'FORGE_UNREACHABLE', message: expect.stringMatching(sentence) });
    expect(await standIn.control.requests()).toEqual({});
  });

  test('is refused where its certificate is made out to another name, whoever signed it', async () => {
    const forge = await behindTls(['forge.example.org', '127.0.0.2'], authority);
    const refusal = await refusalFrom(forge.jobs());
    expect(refusal.message).toMatch(/ERR_TLS_CERT_ALTNAME_INVALID\); write as url a name that its certificate has\.$/);
    expect(await standIn.control.requests()).toEqual({});
  });

  test('is refused as before where the environment would have nobody looked at, once a caFile is given', async () => {
    const before = process.env['NODE_TLS_REJECT_UNAUTHORIZED'];
    onTestFinished(() => {
      if (before === undefined) delete process.env['NODE_TLS_REJECT_UNAUTHORIZED'];
      else process.env['NODE_TLS_REJECT_UNAUTHORIZED'] = before;
    });
    process.env['NODE_TLS_REJECT_UNAUTHORIZED'] = '0';
    const forge = await behindTls(['127.0.0.1'], createAuthority('another'));
    expect(await refusalFrom(forge.jobs())).toMatchObject({ code: 'FORGE_UNREACHABLE' });
  });
});
