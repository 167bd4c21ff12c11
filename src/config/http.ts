// Promises where the API listens, below which path, and what lets somebody change things by it.

import type { Config } from './settings.ts';
import { absolutePath, bindHost, integer, listenAddress } from './kinds.ts';
import { readScalar, type Kind, type Section } from './reader.ts';
import { valueOf } from './source.ts';
import { readTokenFile, type TokenContext } from './token-file.ts';

const port = integer(0, 65_535, 'a port from 1 to 65535, or 0 for any free one');
/** sockaddr_un has 108 bytes. */
const mostSocketBytes = 107;

const basePath: Kind<string> = {
  expected: 'a path such as /runners, as the proxy passes it on',
  parse(value) {
    if (typeof value !== 'string' || value.length > 200 || !/^(?:\/[\w.~-]+)*\/?$/.test(value)) return undefined;
    return value.split('/').some((part) => part === '.' || part === '..') ? undefined : { value: value.replace(/\/$/, '') };
  },
};

const socketPath: Kind<string> = {
  expected: 'the absolute path of a socket, or none',
  parse(value) {
    if (value === 'none') return { value };
    const path = absolutePath('the socket').parse(value);
    if (path === undefined || !('value' in path)) return path;
    return Buffer.byteLength(path.value) > mostSocketBytes ? { message: `is longer than ${mostSocketBytes} bytes` } : path;
  },
};

/** Its directory is shared by all controllers of a host, and is there as long as the host runs. */
function usualSocketOf(controllerId: string): string {
  return `/run/forgejo-runner-controller/${controllerId}.sock`;
}

export async function readHttp(root: Section, controllerId: string, context: TokenContext): Promise<Config['http']> {
  const { env, findings } = context;
  const section = root.section('http', ['host', 'port', 'tokenFile', 'socket', 'basePath']);
  if (section !== undefined && root.has('listen')) findings.add('listen', 'stands beside http', 'keep one of them');
  const listen = root.get('listen', listenAddress);
  const host = section?.get('host', bindHost) ?? listen?.host ?? '127.0.0.1';
  const written = section?.get('port', port) ?? listen?.port ?? 8080;
  const override = valueOf(env, 'HTTP_PORT');
  const chosen = override === undefined ? written : (readScalar(override, 'HTTP_PORT', port, findings) ?? written);
  const tokenFile = section?.has('tokenFile') === true ? await readTokenFile(section, false, context) : undefined;
  const socket = section?.get('socket', socketPath) ?? usualSocketOf(controllerId);
  if (!/^(?:127\.|localhost$|::1$)/.test(host))
    findings.warn(
      'http.host',
      tokenFile === undefined
        ? `${host} is not loopback, and there only who has the token is answered: nobody is, until http.tokenFile is set`
        : `${host} is not loopback, and the API speaks no TLS: whoever listens on the way reads the token`,
    );
  return {
    host,
    port: chosen,
    basePath: section?.get('basePath', basePath) ?? '',
    ...(tokenFile === undefined ? {} : { tokenFile }),
    ...(socket === 'none' ? {} : { socket }),
  };
}
