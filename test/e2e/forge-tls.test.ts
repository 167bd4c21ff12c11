// Promises a forge whose certificate an authority of the house signed: the service believes it by caFile, and machines by what their profile hands
// them, as docs/OPERATIONS.md writes it.

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { createAuthority, startTls } from '../support/certificates.ts';
import { findingsOf, openScene } from '../support/service-scene.ts';
import { installRunner, serviceAddress } from '../support/service.ts';

test('a job of a forge with a certificate of the house runs, its runner reports over TLS from within', async ({ onTestFinished }) => {
  const scene = await openScene(onTestFinished);
  const authority = createAuthority('authority of the house');
  const tls = await startTls(authority.issue([serviceAddress]), Number(new URL(scene.forgejo.url).port), serviceAddress);
  onTestFinished(() => tls.close());
  const folder = await mkdtemp('/var/tmp/frc-authority-');
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const caFile = join(folder, 'house.pem');
  await writeFile(caFile, authority.certificate, { mode: 0o644 });
  const url = `https://${serviceAddress}:${tls.port}`;
  const { bind } = await installRunner();
  const environment = {
    NODE_EXTRA_CA_CERTS: '/etc/forge-ca/house.pem',
    SSL_CERT_DIR: '/etc/ssl/certs:/etc/forge-ca',
    GIT_CONFIG_COUNT: '1',
    GIT_CONFIG_KEY_0: `http.${url}/.sslCAInfo`,
    GIT_CONFIG_VALUE_0: '/etc/forge-ca/house.pem',
  };
  const profile = { name: 'default', labels: ['debian'], environment, binds: [bind, `${caFile}:/etc/forge-ca/house.pem:ro`] };
  const forge = { url, token: scene.forgejo.token, more: { caFile } };
  const service = await scene.start({ profiles: [profile] }, { forge });
  const done = await scene.done(service, await scene.queue(`echo "@server $GITHUB_SERVER_URL"; test -s "$NODE_EXTRA_CA_CERTS"`));
  expect(findingsOf(done)).toEqual({ server: url });
  expect(done.status).toBe('success');
  await scene.clean(service);
});
