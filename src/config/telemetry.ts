// Promises where spans are sent, if anywhere: the address, and the file with the headers that it asks for. Headers are looked at and forgotten
// at once: none ever enters the Config (I7).

import { headersIn } from '../core/header-lines.ts';
import { webAddress } from './kinds.ts';
import { codeOf, readScalar, type Section } from './reader.ts';
import type { Config } from './settings.ts';
import { valueOf } from './source.ts';
import { readSecretPath, type TokenContext } from './token-file.ts';

/** OpenTelemetry's own: where to, and whether at all. */
const variable = 'OTEL_EXPORTER_OTLP_ENDPOINT';
const off = 'OTEL_SDK_DISABLED';

/** Empty = nowhere. */
export async function readTelemetry(root: Section, context: TokenContext): Promise<Pick<Config, 'telemetry'>> {
  const { env, findings } = context;
  const section = root.section('telemetry', ['endpoint', 'headersFile']);
  const written = section?.get('endpoint', webAddress);
  const given = valueOf(env, variable);
  const endpoint = given === undefined ? written : (readScalar(given, variable, webAddress, findings) ?? written);
  const headersFile = section?.has('headersFile') === true ? await readHeadersFile(section, context) : undefined;
  if (endpoint === undefined) {
    if (headersFile !== undefined) findings.add('telemetry.endpoint', 'is missing beside headersFile', `write it, or set ${variable}`);
    return {};
  }
  if (/^true$/i.test(valueOf(env, off) ?? '')) return {};
  if (headersFile !== undefined && /^http:\/\/(?!127\.|localhost(?:[:/]|$)|\[::1\])/.test(endpoint))
    findings.warn('telemetry.endpoint', 'is http, and not on this host: whoever listens on the way reads the headers of headersFile');
  return { telemetry: { endpoint, ...(headersFile === undefined ? {} : { headersFile }) } };
}

async function readHeadersFile(section: Section, context: TokenContext): Promise<string | undefined> {
  const { findings, host } = context;
  const path = section.pathOf('headersFile');
  const file = readSecretPath(section, 'headersFile', context);
  if (file === undefined) return undefined;
  try {
    const { text, mode } = await host.read(file);
    const headers = headersIn(text);
    if (typeof headers === 'number')
      return findings.add(path, `names ${JSON.stringify(file)}, whose line ${headers} is no header`, 'write `name: value` on each line');
    if (Object.keys(headers).length === 0) findings.warn(path, `${file} holds no header`);
    if ((mode & 0o007) !== 0) findings.warn(path, `others may use ${file}; set its mode to 0600`);
    return file;
  } catch (error) {
    return findings.add(
      path,
      `names ${JSON.stringify(file)}, which cannot be read (${codeOf(error)})`,
      'create the file, and let the user of this service read it',
    );
  }
}
