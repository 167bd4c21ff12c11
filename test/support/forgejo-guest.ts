// Promises the two hands of a test that talks to a stand-in as the world does: REST with a token, and a runner's calls in protobuf.

import { createClient, type Client } from '@connectrpc/connect';
import { createConnectTransport } from '@connectrpc/connect-node';
import { RunnerService } from './gen/runner/v1/services_pb.ts';
import type { ForgejoStandIn } from './forgejo/forgejo.ts';

export type Answer = { readonly status: number; readonly headers: Headers; readonly text: string; readonly json: unknown };

export async function rest(
  forgejo: Pick<ForgejoStandIn, 'url' | 'token'>,
  method: string,
  path: string,
  body?: unknown,
  token = forgejo.token,
): Promise<Answer> {
  const headers = { authorization: `token ${token}`, ...(body === undefined ? {} : { 'content-type': 'application/json' }) };
  const sent = body === undefined ? {} : { body: JSON.stringify(body) };
  const response = await fetch(`${forgejo.url}/api/v1${path}`, { method, headers, redirect: 'manual', ...sent });
  const text = await response.text();
  const isJson = response.headers.get('content-type')?.startsWith('application/json') === true;
  return { status: response.status, headers: response.headers, text, json: isJson && text !== '' ? JSON.parse(text) : undefined };
}

export type GuestRunner = Client<typeof RunnerService> & { readonly id: number; readonly uuid: string };

/** A registration below `scope` (`/repos/o/r`, `/orgs/o`, `/user`, `/admin`), declared with these labels. */
export async function guestRunner(
  forgejo: ForgejoStandIn,
  {
    scope,
    labels,
    ephemeral = true,
    requestKey,
  }: Readonly<{ scope: string; labels: readonly string[]; ephemeral?: boolean; requestKey?: string }>,
): Promise<GuestRunner> {
  const made = await rest(forgejo, 'POST', `${scope}/actions/runners`, { name: 'guest', ephemeral });
  const { id, uuid, token } = made.json as { id: number; uuid: string; token: string };
  const transport = createConnectTransport({
    baseUrl: `${forgejo.url}/api/actions`,
    httpVersion: '1.1',
    useBinaryFormat: true,
    interceptors: [
      (next) => (request) => {
        request.header.set('x-runner-uuid', uuid);
        request.header.set('x-runner-token', token);
        if (requestKey !== undefined) request.header.set('x-runner-request-key', requestKey);
        return next(request);
      },
    ],
  });
  const client = createClient(RunnerService, transport);
  await client.declare({ version: 'v12.8.2', labels: [...labels] });
  return { ...client, id, uuid };
}
