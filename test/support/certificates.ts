// Promises certificates that are made on the spot, without a program: an authority, and servers' certificates that it signs for names and
// addresses; and a TLS server that passes on to one without. Only for tests; the few pieces of DER that a certificate is made of are written here.

import { generateKeyPairSync, randomBytes, sign, type KeyObject } from 'node:crypto';
import { connect, isIP, type AddressInfo } from 'node:net';
import { createServer } from 'node:tls';

export type Certified = { readonly certificate: string; readonly key: string };
export type Authority = {
  /** PEM. */
  readonly certificate: string;
  /** A certificate for a server of these names and addresses. */
  issue(names: readonly string[]): Certified;
};

const ecdsaWithSha256 = sequence(oid('1.2.840.10045.4.3.2'));

export function createAuthority(name: string): Authority {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const isAuthority = extension('2.5.29.19', sequence(tlv(0x01, Buffer.from([0xff]))));
  return {
    certificate: certificateOf({ subject: name, publicKey, issuer: name, signer: privateKey, extensions: [isAuthority] }),
    issue(names) {
      const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' });
      const alternatives = names.map((each) =>
        isIP(each) === 4 ? tlv(0x87, Buffer.from(each.split('.').map(Number))) : tlv(0x82, Buffer.from(each)),
      );
      const extensions = [extension('2.5.29.17', sequence(...alternatives))];
      const certificate = certificateOf({ subject: 'server', publicKey: pair.publicKey, issuer: name, signer: privateKey, extensions });
      return { certificate, key: pair.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString() };
    },
  };
}

/** Speaks TLS with that certificate and passes all of it on to the port of a loopback server. */
export async function startTls(
  { certificate, key }: Certified,
  port: number,
  host = '127.0.0.1',
): Promise<{ readonly port: number; close(): Promise<void> }> {
  const open = new Set<{ destroy(): unknown }>();
  const server = createServer({ cert: certificate, key }, (socket) => {
    const through = connect(port, '127.0.0.1');
    for (const [end, other] of [
      [socket, through],
      [through, socket],
    ] as const) {
      open.add(end);
      // Whoever goes, however it goes, takes the other end along.
      end.on('error', () => other.destroy()).on('close', () => other.destroy());
    }
    socket.pipe(through).pipe(socket);
  });
  server.on('tlsClientError', () => undefined);
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const end of open) end.destroy();
      }),
  };
}

type Wish = {
  readonly subject: string;
  readonly publicKey: KeyObject;
  readonly issuer: string;
  readonly signer: KeyObject;
  readonly extensions: readonly Buffer[];
};

function certificateOf({ subject, publicKey, issuer, signer, extensions }: Wish): string {
  const year = new Date().getUTCFullYear();
  const validity = sequence(...[year - 1, year + 10].map((each) => tlv(0x18, Buffer.from(`${each}0101000000Z`))));
  const content = sequence(
    tlv(0xa0, tlv(0x02, Buffer.from([2]))),
    tlv(0x02, Buffer.concat([Buffer.from([1]), randomBytes(8)])),
    ecdsaWithSha256,
    nameOf(issuer),
    validity,
    nameOf(subject),
    publicKey.export({ type: 'spki', format: 'der' }),
    tlv(0xa3, sequence(...extensions)),
  );
  const signature = tlv(0x03, Buffer.concat([Buffer.from([0]), sign('sha256', content, signer)]));
  const base64 = sequence(content, ecdsaWithSha256, signature).toString('base64');
  // An empty line would end it too early, so none is left where the last is full.
  const lines = base64.match(/.{1,64}/g) ?? [];
  return ['-----BEGIN CERTIFICATE-----', ...lines, '-----END CERTIFICATE-----', ''].join('\n');
}

function nameOf(text: string): Buffer {
  return sequence(tlv(0x31, sequence(oid('2.5.4.3'), tlv(0x0c, Buffer.from(text)))));
}

function extension(id: string, value: Buffer): Buffer {
  return sequence(oid(id), tlv(0x04, value));
}

function sequence(...parts: readonly Buffer[]): Buffer {
  return tlv(0x30, ...parts);
}

function tlv(tag: number, ...parts: readonly Buffer[]): Buffer {
  const value = Buffer.concat(parts);
  const { length } = value;
  const size = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...size]), value]);
}

function oid(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number);
  const bytes = rest.flatMap((part) => {
    const digits = [part & 0x7f];
    for (let left = part >> 7; left > 0; left >>= 7) digits.unshift((left & 0x7f) | 0x80);
    return digits;
  });
  return tlv(0x06, Buffer.from([first * 40 + second, ...bytes]));
}
