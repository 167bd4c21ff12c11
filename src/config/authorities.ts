// Promises the authorities that a forge's certificate must be signed by: read at the start, whole and of certificates alone, so that a slip is
// told then and not by a forge that cannot be reached.

import { X509Certificate } from 'node:crypto';
import type { ForgeConfig } from './settings.ts';
import { absolutePath } from './kinds.ts';
import { codeOf, type Section } from './reader.ts';
import type { TokenContext } from './token-file.ts';

/** The bundle of a whole distribution has a quarter of it. */
const mostBytes = 1024 * 1024;
const one = /-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----[\s\S]*?-----END (?:TRUSTED |X509 )?CERTIFICATE-----/g;

export async function readAuthorities(forge: Section, url: string | undefined, context: TokenContext): Promise<Pick<ForgeConfig, 'ca'>> {
  const { findings, host } = context;
  const file = forge.get('caFile', absolutePath('a file with certificates of authorities'));
  if (file === undefined) return {};
  const path = forge.pathOf('caFile');
  if (url?.startsWith('http:') === true)
    return findings.add(path, `has no effect, because ${url} speaks no TLS`, 'leave it out, or write the https address as url') ?? {};
  const wrong = (what: string, remedy: string): Pick<ForgeConfig, 'ca'> =>
    findings.add(path, `names ${JSON.stringify(file)}, which ${what}`, remedy) ?? {};
  let text: string;
  try {
    ({ text } = await host.read(file));
  } catch (error) {
    // Looked at where the service will not run: a file of the host is not there.
    if (context.pending === true) return {};
    return wrong(`cannot be read (${codeOf(error)})`, 'create the file, and let the user of this service read it');
  }
  const remedy = 'put the certificate of whoever signed that of the forge into it, as PEM: -----BEGIN CERTIFICATE-----';
  if (text.length > mostBytes) return wrong(`is larger than ${mostBytes} bytes`, remedy);
  if (/-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(text))
    return wrong('holds a private key (not shown)', 'leave nothing but certificates in it');
  const certificates = text.match(one) ?? [];
  if (certificates.length === 0) return wrong('holds no certificate', remedy);
  const bad = certificates.findIndex((certificate) => !isCertificate(certificate));
  if (bad !== -1) return wrong(`holds something else than a certificate as number ${bad + 1} of ${certificates.length}`, remedy);
  return { ca: { file, pem: certificates.join('\n') } };
}

function isCertificate(pem: string): boolean {
  try {
    return new X509Certificate(pem).raw.length > 0;
  } catch (error) {
    // OpenSSL's words about what is cut or of another kind; the sentence above says more.
    if (error instanceof Error) return false;
    throw error;
  }
}
